// Large pages for large results.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace jaxplain {

// To be called before a result is written. XLA gets new memory from the system for every run, and the system hands it
// out page by page as it is written first: in pages of 4 kB that took a quarter of the CPU time of a ResNet-50's
// gradient. Where Linux lets programs ask for pages of 2 MB ("madvise", Debian's setting), this asks; it is a hint, and
// what it answers does not matter. The pages at both ends may belong to other arrays, which does them no harm.
inline void AskForLargePages(void* begin, size_t size) {
  constexpr uintptr_t kPage = uintptr_t{1} << 21;
  if (size < kPage / 4) return;
  const uintptr_t address = reinterpret_cast<uintptr_t>(begin), first = address / kPage * kPage;
  const uintptr_t last = (address + size + kPage - 1) / kPage * kPage;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

}  // namespace jaxplain
