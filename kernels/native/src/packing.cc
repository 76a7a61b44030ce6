#include "packing.h"

#include <algorithm>
#include <stdexcept>

#include "vectors.h"

namespace jaxplain {
namespace {

constexpr int64_t kRow = 16;                 // floats of a cache line
constexpr int64_t kMostTasks = 64;           // of one call
constexpr int64_t kFewestWeights = 1 << 15;  // of one task

// What each index along one axis adds to the place of a weight.
std::vector<int64_t> Places(const dnnl::memory::desc& packed, int axis, int64_t length) {
  const auto sizes = packed.get_inner_blks(), axes = packed.get_inner_idxs();
  const int64_t stride = packed.get_strides()[axis];
  std::vector<int64_t> places(length);
  for (int64_t index = 0; index < length; ++index) {
    int64_t rest = index, place = 0, step = 1;
    for (int number = packed.get_inner_nblks() - 1; number >= 0; --number) {
      if (axes[number] == axis) {
        place += rest % sizes[number] * step;
        rest /= sizes[number];
      }
      step *= sizes[number];
    }
    places[index] = place + rest * stride;
  }
  return places;
}

// All sums of an entry of one list and one of another, the second running faster.
std::vector<int64_t> Sums(const std::vector<int64_t>& slow, const std::vector<int64_t>& fast) {
  std::vector<int64_t> sums;
  for (int64_t one : slow) {
    for (int64_t other : fast) sums.push_back(one + other);
  }
  return sums;
}

FOR_EVERY_CPU void CopyRows(float* to, const int64_t* places, const float* from, const float* scale, int64_t n) {
  for (int64_t i = 0; i < n; i += kRow) {
    float* __restrict row = to + places[i];
    if (scale == nullptr) {
      for (int64_t j = 0; j < kRow; ++j) row[j] = from[i + j];
    } else {
      for (int64_t j = 0; j < kRow; ++j) row[j] = from[i + j] * scale[i + j];
    }
  }
}

void CopyApart(float* to, const int64_t* places, const float* from, const float* scale, int64_t n) {
  if (scale == nullptr) {
    for (int64_t i = 0; i < n; ++i) to[places[i]] = from[i];
  } else {
    for (int64_t i = 0; i < n; ++i) to[places[i]] = from[i] * scale[i];
  }
}

}  // namespace

Packing::Packing(const Geometry& g, const dnnl::memory::desc& packed)
    : length_(static_cast<int64_t>((packed.get_size() + sizeof(float) - 1) / sizeof(float))),
      n_weights_(g.elements_weights()) {
  if (packed.get_format_kind() != dnnl::memory::format_kind::blocked || packed.get_submemory_offset() != 0) {
    throw std::invalid_argument("oneDNN wants the weights in an order of its own");
  }
  int axis = 0;
  std::vector<int64_t> of_group{0};
  if (g.groups > 1) of_group = Places(packed, axis++, g.groups);
  of_feature_ = Sums(of_group, Places(packed, axis++, g.channels_out / g.groups));
  of_input_ = Places(packed, axis++, g.channels_in / g.groups);
  of_position_ = {0};
  for (int64_t size : g.kernel) of_position_ = Sums(of_position_, Places(packed, axis++, size));
  in_rows_ = n_features() % kRow == 0;
  for (int64_t feature = 0; feature < n_features(); ++feature) {
    const bool follows = feature % kRow == 0 || of_feature_[feature] == of_feature_[feature - 1] + 1;
    in_rows_ = in_rows_ && follows;
  }
}

int64_t Packing::tasks() const {
  return std::max<int64_t>(std::min({n_units(), kMostTasks, n_weights_ / kFewestWeights}), 1);
}

void Packing::Clear(float* packed) const {
  if (length_ != n_weights_) std::fill(packed, packed + length_, 0.0f);
}

void Packing::Copy(int64_t task, const float* weights, const float* scale, float* packed) const {
  const auto copy = in_rows_ ? CopyRows : CopyApart;
  for (int64_t unit = n_units() * task / tasks(); unit < n_units() * (task + 1) / tasks(); ++unit) {
    const int64_t position = unit / n_blocks(), first = unit % n_blocks() * kInputs;
    for (int64_t begin = 0; begin < n_features(); begin += kFeatures) {
      for (int64_t input = first; input < std::min(first + kInputs, n_inputs()); ++input) {
        copy(packed + of_position_[position] + of_input_[input], &of_feature_[begin],
             weights + (position * n_inputs() + input) * n_features() + begin,
             scale == nullptr ? nullptr : scale + begin, std::min(kFeatures, n_features() - begin));
      }
    }
  }
}

}  // namespace jaxplain
