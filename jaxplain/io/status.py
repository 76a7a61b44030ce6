"""Status codes of one image, stored in ``rows/status``; anything but `OK` is quarantined: its maps are NaN."""

OK = 0
UNREADABLE = 1
BAD_PIXELS = 2
BAD_LOGITS = 3

REASONS = {
    OK: "ok",
    UNREADABLE: "unreadable image",
    BAD_PIXELS: "NaN or Inf in the pixels",
    BAD_LOGITS: "NaN or Inf in the logits",
}
"""Status code -> text for people."""
