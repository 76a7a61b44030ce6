// What describes one convolution: the list of integers that Python hands to every call, and its parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

namespace jaxplain {

using Dims = std::vector<int64_t>;

enum class Direction : int64_t { kForward = 0, kPullBack = 1 };

// What else a call does, bit by bit. Forward: each sum times a factor of its feature, plus a bias, plus another array, cut
// off below zero, in this order. On the way back: the cotangent is taken for zero where another array is not positive,
// and multiplied by the factor of its feature.
enum Extra : int64_t { kBias = 1, kAddend = 2, kRelu = 4, kScale = 8, kMask = 16 };

// Channels last in memory: x is (batch, *in, channels_in), y is (batch, *out, channels_out), weights are
// (*kernel, channels_in / groups, channels_out). A task computes `images` images, or one of `bands` bands of rows.
struct Geometry {
  Direction direction;
  int64_t groups, batch, images, bands, channels_in, channels_out, extras;
  Dims in{}, out{}, kernel{}, strides{}, low{}, high{}, dilation{};

  static Geometry Read(const int64_t* values, int64_t n) {
    constexpr int64_t kHead = 9, kLists = 7;
    if (n < kHead || n != kHead + kLists * values[8]) throw std::invalid_argument("the geometry is incomplete");
    Geometry g{static_cast<Direction>(values[0]), values[1], values[2], values[3], values[4], values[5], values[6],
               values[7]};
    const int64_t* next = values + kHead;
    for (Dims* list : {&g.in, &g.out, &g.kernel, &g.strides, &g.low, &g.high, &g.dilation}) {
      list->assign(next, next + values[8]);
      next += values[8];
    }
    return g;
  }

  bool pulls() const { return direction == Direction::kPullBack; }
  bool has(Extra extra) const { return (extras & extra) != 0; }
  int64_t tasks() const { return batch / images * bands; }
  int64_t elements_in() const { return Product(in) * channels_in; }
  int64_t elements_out() const { return Product(out) * channels_out; }
  int64_t elements_weights() const { return Product(kernel) * channels_in / groups * channels_out; }

  static int64_t Product(const Dims& sizes) {
    int64_t result = 1;
    for (int64_t size : sizes) result *= size;
    return result;
  }
};

// Rows of one image that a task reads and writes, and the convolution that it is by itself.
struct Band {
  Geometry geometry;
  int64_t first_in, first_out;  // rows
};

// Cuts one image along its first axis, so that every row of the result is computed once, from the rows that it needs
// with what is left of the padding; nothing where a band would see padding alone.
inline std::optional<Band> Cut(const Geometry& whole, int64_t number) {
  if (whole.bands == 1) return Band{whole, 0, 0};
  const int64_t stride = whole.strides[0], low = whole.low[0], reach = (whole.kernel[0] - 1) * whole.dilation[0];
  const int64_t rows = whole.pulls() ? whole.in[0] : whole.out[0];
  const int64_t begin = rows * number / whole.bands, end = rows * (number + 1) / whole.bands;
  int64_t in0, in1, out0, out1;
  if (whole.pulls()) {
    in0 = begin, in1 = end;
    const int64_t after = begin + low - reach;
    out0 = after > 0 ? (after + stride - 1) / stride : 0;
    out1 = std::min(whole.out[0], (end - 1 + low) / stride + 1);
  } else {
    out0 = begin, out1 = end;
    in0 = std::max<int64_t>(0, begin * stride - low);
    in1 = std::min(whole.in[0], (end - 1) * stride - low + reach + 1);
  }
  if (in0 >= in1 || out0 >= out1) return std::nullopt;
  Band band{whole, in0, out0};
  band.geometry.bands = 1;
  band.geometry.in[0] = in1 - in0;
  band.geometry.out[0] = out1 - out0;
  band.geometry.low[0] = in0 + low - out0 * stride;
  band.geometry.high[0] = (out1 - out0 - 1) * stride + reach + 1 - (in1 - in0) - band.geometry.low[0];
  return band;
}

}  // namespace jaxplain
