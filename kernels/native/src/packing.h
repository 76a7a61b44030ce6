// Weights in the order that a primitive wants.
#pragma once

#include <cstdint>
#include <vector>

#include "geometry.h"

namespace jaxplain {

// oneDNN lays weights out in blocks of channels. The place of a weight is a sum of three numbers, each of which follows
// from one of its three indices in JAX's order (position in the kernel, input channel, feature), so three short tables
// say it. oneDNN's own reorder copied 4 to 10 GB/s where blocks run across the rows, and on one thread alone.
class Packing {
 public:
  Packing() = default;

  // Throws std::invalid_argument where the order is not made of blocks.
  Packing(const Geometry& g, const dnnl::memory::desc& packed);

  int64_t length() const { return length_; }  // floats
  int64_t tasks() const;

  // To be called before the tasks: writes zeros where blocks are not full.
  void Clear(float* packed) const;

  // Does one task: copies weights, each times the factor of its feature where there are factors.
  void Copy(int64_t task, const float* weights, const float* scale, float* packed) const;

 private:
  int64_t n_inputs() const { return static_cast<int64_t>(of_input_.size()); }
  int64_t n_features() const { return static_cast<int64_t>(of_feature_.size()); }
  int64_t n_blocks() const { return (n_inputs() + kInputs - 1) / kInputs; }
  int64_t n_units() const { return static_cast<int64_t>(of_position_.size()) * n_blocks(); }

  static constexpr int64_t kInputs = 16, kFeatures = 64;  // of a tile, whose places fit into the first cache

  int64_t length_ = 0, n_weights_ = 0;
  bool in_rows_ = false;  // whether every sixteen features lie side by side
  std::vector<int64_t> of_position_, of_input_, of_feature_;
};

}  // namespace jaxplain
