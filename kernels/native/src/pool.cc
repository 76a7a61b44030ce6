// Max-pooling that keeps the winner's number in each window, and the way back by those numbers.
//
// oneDNN is not asked here: its maximum does not keep NaN.

#include <limits>
#include <vector>

#include "pages.h"
#include "parallel.h"
#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace jaxplain {
namespace {

namespace ffi = xla::ffi;

constexpr int64_t kTasks = 64;  // of one call: enough for many threads, and none too small

struct Axis {
  int64_t in, out, window, stride, low;
};

// Three spatial axes, those in front of length one where there are fewer: (batch, depth, height, width, channels).
struct Pooling {
  int64_t batch, channels;
  Axis depth, height, width;

  static Pooling Read(ffi::Span<const int64_t> values) {
    if (values.size() != 17) throw std::invalid_argument("the geometry is incomplete");
    const int64_t* v = values.begin();
    const auto axis = [&](int64_t at) { return Axis{v[at], v[at + 1], v[at + 2], v[at + 3], v[at + 4]}; };
    return {v[0], v[1], axis(2), axis(7), axis(12)};
  }
  int64_t n_in() const { return batch * depth.in * height.in * width.in * channels; }
  int64_t n_out() const { return batch * depth.out * height.out * width.out * channels; }
};

FOR_EVERY_CPU void Contend(float* best, int32_t* winner, const float* candidate, int32_t number, int64_t n) {
  for (int64_t c = 0; c < n; ++c) {
    const float value = candidate[c], held = best[c];
    const bool wins = (value > held) | ((value != value) & (held == held));  // a NaN wins and stays
    best[c] = wins ? value : held;
    winner[c] = wins ? number : winner[c];
  }
}

FOR_EVERY_CPU void Narrow(int8_t* to, const int32_t* from, int64_t n) {
  for (int64_t c = 0; c < n; ++c) to[c] = static_cast<int8_t>(from[c]);
}

FOR_EVERY_CPU void Collect(float* to, const float* cotangent, const int8_t* winner, int8_t number, int64_t n) {
  for (int64_t c = 0; c < n; ++c) to[c] += winner[c] == number ? cotangent[c] : 0.0f;
}

// One row of windows along the width.
void PoolRow(const Pooling& p, const float* image, int64_t d, int64_t h, float* best, int8_t* winners) {
  std::vector<int32_t> winner(p.channels);
  for (int64_t w = 0; w < p.width.out; ++w, best += p.channels, winners += p.channels) {
    std::fill(best, best + p.channels, -std::numeric_limits<float>::infinity());
    std::fill(winner.begin(), winner.end(), 0);
    int32_t number = 0;
    for (int64_t a = 0; a < p.depth.window; ++a) {
      const int64_t z = d * p.depth.stride + a - p.depth.low;
      for (int64_t b = 0; b < p.height.window; ++b) {
        const int64_t y = h * p.height.stride + b - p.height.low;
        for (int64_t e = 0; e < p.width.window; ++e, ++number) {
          const int64_t x = w * p.width.stride + e - p.width.low;
          if (z < 0 || z >= p.depth.in || y < 0 || y >= p.height.in || x < 0 || x >= p.width.in) continue;
          const float* at = image + ((z * p.height.in + y) * p.width.in + x) * p.channels;
          Contend(best, winner.data(), at, number, p.channels);
        }
      }
    }
    Narrow(winners, winner.data(), p.channels);
  }
}

// One row of the input: what all windows that cover it send to it, in their order.
void CollectRow(const Pooling& p, const float* cotangents, const int8_t* winners, int64_t z, int64_t y, float* row) {
  std::fill(row, row + p.width.in * p.channels, 0.0f);
  const auto first = [](const Axis& axis, int64_t at) {  // the first window that reaches a position
    const int64_t after = at + axis.low - axis.window + 1;
    return after > 0 ? (after + axis.stride - 1) / axis.stride : 0;
  };
  for (int64_t d = first(p.depth, z); d < p.depth.out && d * p.depth.stride - p.depth.low <= z; ++d) {
    const int64_t a = z + p.depth.low - d * p.depth.stride;
    for (int64_t h = first(p.height, y); h < p.height.out && h * p.height.stride - p.height.low <= y; ++h) {
      const int64_t b = y + p.height.low - h * p.height.stride;
      const int64_t line = (d * p.height.out + h) * p.width.out * p.channels;
      for (int64_t w = 0; w < p.width.out; ++w) {
        for (int64_t e = 0; e < p.width.window; ++e) {
          const int64_t x = w * p.width.stride + e - p.width.low;
          if (x < 0 || x >= p.width.in) continue;
          const int64_t number = (a * p.height.window + b) * p.width.window + e, at = line + w * p.channels;
          Collect(row + x * p.channels, cotangents + at, winners + at, static_cast<int8_t>(number), p.channels);
        }
      }
    }
  }
}

// Calls body(image, depth, height) for all rows of all images.
template <typename Body>
std::string EveryRow(ffi::ThreadPool& pool, int64_t batch, int64_t depth, int64_t height, const Body& body) {
  const int64_t n_rows = batch * depth * height, n_tasks = std::min(n_rows, kTasks);
  return ShareOut(pool, n_tasks, [&](int64_t task) {
    for (int64_t row = n_rows * task / n_tasks; row < n_rows * (task + 1) / n_tasks; ++row) {
      body(row / height / depth, row / height % depth, row % height);
    }
  });
}

ffi::Error Answer(const std::string& error) {
  return error.empty() ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kInvalidArgument, "pool: " + error);
}

ffi::Error Pool(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> x, ffi::ResultBuffer<ffi::F32> result,
                ffi::ResultBuffer<ffi::S8> winners, ffi::Span<const int64_t> geometry) {
  try {
    const Pooling p = Pooling::Read(geometry);
    if (static_cast<int64_t>(x.element_count()) != p.n_in() ||
        static_cast<int64_t>(result->element_count()) != p.n_out() ||
        static_cast<int64_t>(winners->element_count()) != p.n_out()) {
      return Answer("the arrays do not fit the geometry");
    }
    AskForLargePages(result->typed_data(), result->size_bytes());
    const int64_t image = p.n_in() / p.batch, line = p.width.out * p.channels;
    return Answer(EveryRow(pool, p.batch, p.depth.out, p.height.out, [&](int64_t n, int64_t d, int64_t h) {
      const int64_t at = ((n * p.depth.out + d) * p.height.out + h) * line;
      PoolRow(p, x.typed_data() + n * image, d, h, result->typed_data() + at, winners->typed_data() + at);
    }));
  } catch (const std::exception& error) {
    return Answer(error.what());
  }
}

ffi::Error SendBack(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> cotangents, ffi::Buffer<ffi::S8> winners,
                    ffi::ResultBuffer<ffi::F32> result, ffi::Span<const int64_t> geometry) {
  try {
    const Pooling p = Pooling::Read(geometry);
    if (static_cast<int64_t>(cotangents.element_count()) != p.n_out() ||
        static_cast<int64_t>(winners.element_count()) != p.n_out() ||
        static_cast<int64_t>(result->element_count()) != p.n_in()) {
      return Answer("the arrays do not fit the geometry");
    }
    AskForLargePages(result->typed_data(), result->size_bytes());
    const int64_t image = p.n_out() / p.batch, line = p.width.in * p.channels;
    return Answer(EveryRow(pool, p.batch, p.depth.in, p.height.in, [&](int64_t n, int64_t z, int64_t y) {
      const int64_t at = ((n * p.depth.in + z) * p.height.in + y) * line;
      CollectRow(p, cotangents.typed_data() + n * image, winners.typed_data() + n * image, z, y,
                 result->typed_data() + at);
    }));
  } catch (const std::exception& error) {
    return Answer(error.what());
  }
}

}  // namespace
}  // namespace jaxplain

#pragma GCC visibility push(default)  // what follows is found by name

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxplain_native_pool, jaxplain::Pool,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<xla::ffi::Buffer<xla::ffi::F32>>()
                                  .Ret<xla::ffi::Buffer<xla::ffi::F32>>()
                                  .Ret<xla::ffi::Buffer<xla::ffi::S8>>()
                                  .Attr<xla::ffi::Span<const int64_t>>("geometry"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxplain_native_send_back, jaxplain::SendBack,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<xla::ffi::Buffer<xla::ffi::F32>>()
                                  .Arg<xla::ffi::Buffer<xla::ffi::S8>>()
                                  .Ret<xla::ffi::Buffer<xla::ffi::F32>>()
                                  .Attr<xla::ffi::Span<const int64_t>>("geometry"));

#pragma GCC visibility pop
