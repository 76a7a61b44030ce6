"""Pure parts of global explanation: mergeable moments, groups, percentiles, and PEPPR's orders, areas and curves."""
