// Loops compiled for several instruction sets, of which the best is chosen when the library is loaded.
#pragma once

#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
