// The calls that XLA makes, and the question that Python asks while tracing.

#include <cstdlib>
#include <cstring>
#include <new>
#include <unordered_map>

#include "pages.h"
#include "parallel.h"
#include "primitives.h"
#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace jaxplain {
namespace {

namespace ffi = xla::ffi;
using Floats = ffi::Buffer<ffi::F32>;
using Written = ffi::ResultBuffer<ffi::F32>;
using Values = ffi::Span<const int64_t>;

size_t Aligned(size_t size) { return (size + 63) / 64 * 64; }

// Memory of one task, aligned as oneDNN wants it.
class Scratch {
 public:
  explicit Scratch(size_t size) : pointer_(size == 0 ? nullptr : std::aligned_alloc(64, Aligned(size))) {
    if (size != 0 && pointer_ == nullptr) throw std::bad_alloc();
  }
  ~Scratch() { std::free(pointer_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return pointer_; }

 private:
  void* pointer_;
};

ffi::Error Refusal(const char* call, const std::string& reason) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, std::string(call) + ": " + reason);
}

template <typename Array>
bool Fits(Array& array, int64_t length) {
  return static_cast<int64_t>(array.element_count()) == length;
}

// Weights are put into the order that the primitive wants in a call of their own, which depends on nothing but the
// weights and their factors: it stays outside of loops, and one packing serves all chunks of a batch.
ffi::Error Pack(ffi::ThreadPool pool, Floats weights, Floats scale, Written packed, Values geometry) {
  try {
    const auto plan = PlanFor(geometry.begin(), geometry.size());
    const Geometry& g = plan->geometry;
    if (!Fits(weights, g.elements_weights()) || !Fits(scale, g.has(kScale) ? g.channels_out : 0) ||
        !Fits(*packed, plan->packing.length())) {
      return Refusal("pack", "the program was compiled for another kind of CPU");
    }
    float* to = packed->typed_data();
    AskForLargePages(to, packed->size_bytes());
    plan->packing.Clear(to);
    const std::string error = ShareOut(pool, plan->packing.tasks(), [&](int64_t task) {
      plan->packing.Copy(task, weights.typed_data(), g.has(kScale) ? scale.typed_data() : nullptr, to);
    });
    return error.empty() ? ffi::Error::Success() : Refusal("pack", error);
  } catch (const std::exception& error) {
    return Refusal("pack", error.what());
  }
}

// These come after the primitive, while a task's result is in the cache, and not as oneDNN's post-operations: its ReLU
// makes zeros of NaN, and its addition of an array took longer than XLA's own pass (oneDNN 3.2).
FOR_EVERY_CPU void Add(float* __restrict to, const float* __restrict from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

FOR_EVERY_CPU void CutOff(float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = to[i] < 0.0f ? 0.0f : to[i];
}

FOR_EVERY_CPU void AddAndCutOff(float* __restrict to, const float* __restrict from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float sum = to[i] + from[i];
    to[i] = sum < 0.0f ? 0.0f : sum;
  }
}

// Comes before the primitive, into memory of the task.
FOR_EVERY_CPU void Masked(float* __restrict to, const float* __restrict from, const float* __restrict mask, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = mask[i] > 0.0f ? from[i] : 0.0f;
}

int64_t Length(const dnnl::memory::desc& array) { return static_cast<int64_t>(array.get_size() / sizeof(float)); }

ffi::Error Convolve(ffi::ThreadPool pool, Floats source, Floats packed, Floats bias, Floats addend, Floats mask,
                    Written result, Values geometry) {
  try {
    const auto plan = PlanFor(geometry.begin(), geometry.size());
    const Geometry& g = plan->geometry;
    const bool pulls = g.pulls();
    const int64_t per_source = pulls ? g.elements_out() : g.elements_in();
    const int64_t per_result = pulls ? g.elements_in() : g.elements_out();
    if (!Fits(source, g.batch * per_source) || !Fits(*result, g.batch * per_result) ||
        !Fits(packed, plan->packing.length()) || !Fits(bias, g.has(kBias) ? g.channels_out : 0) ||
        !Fits(addend, g.has(kAddend) ? g.batch * per_result : 0) ||
        !Fits(mask, g.has(kMask) ? g.batch * per_source : 0)) {
      return Refusal("convolve", "the program was compiled for another kind of CPU");
    }
    AskForLargePages(result->typed_data(), result->size_bytes());
    const std::string error = ShareOut(pool, g.tasks(), [&](int64_t number) {
      const int64_t image = number / g.bands * g.images;
      const Task& task = plan->tasks[number % g.bands];
      const int64_t begin = image * per_source + task.source_offset;
      float* from = source.typed_data() + begin;
      float* to = result->typed_data() + image * per_result + task.result_offset;
      const OneThread one_thread;
      const size_t own = Aligned(task.scratch.get_size());
      const Scratch scratch(own + (g.has(kMask) ? task.source.get_size() : 0));
      if (g.has(kMask)) {
        float* copy = static_cast<float*>(scratch.get()) + own / sizeof(float);
        Masked(copy, from, mask.typed_data() + begin, Length(task.source));
        from = copy;
      }
      std::unordered_map<int, dnnl::memory> arguments{
          {pulls ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, {task.source, Cpu(), from}},
          {DNNL_ARG_WEIGHTS, {plan->packed_weights, Cpu(), packed.typed_data()}},
          {pulls ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, {task.result, Cpu(), to}},
          {DNNL_ARG_SCRATCHPAD, {task.scratch, Cpu(), scratch.get()}}};
      if (g.has(kBias)) arguments.insert({DNNL_ARG_BIAS, {plan->bias, Cpu(), bias.typed_data()}});
      const dnnl::stream stream(Cpu());
      task.primitive.execute(stream, arguments);
      const float* added = g.has(kAddend) ? addend.typed_data() + (to - result->typed_data()) : nullptr;
      if (added != nullptr && g.has(kRelu)) {
        AddAndCutOff(to, added, Length(task.result));
      } else if (added != nullptr) {
        Add(to, added, Length(task.result));
      } else if (g.has(kRelu)) {
        CutOff(to, Length(task.result));
      }
    });
    return error.empty() ? ffi::Error::Success() : Refusal("convolve", error);
  } catch (const std::exception& error) {
    return Refusal("convolve", error.what());
  }
}

}  // namespace
}  // namespace jaxplain

#pragma GCC visibility push(default)  // what follows is found by name

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxplain_native_pack, jaxplain::Pack,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<jaxplain::Floats>()
                                  .Arg<jaxplain::Floats>()
                                  .Ret<jaxplain::Floats>()
                                  .Attr<jaxplain::Values>("geometry"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxplain_native_convolve, jaxplain::Convolve,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<jaxplain::Floats>()
                                  .Arg<jaxplain::Floats>()
                                  .Arg<jaxplain::Floats>()
                                  .Arg<jaxplain::Floats>()
                                  .Arg<jaxplain::Floats>()
                                  .Ret<jaxplain::Floats>()
                                  .Attr<jaxplain::Values>("geometry"));

// Answers with the length of the packed weights and the name of the implementation; or -1 and the reason.
extern "C" int64_t jaxplain_native_plan(const int64_t* geometry, int64_t n, char* text, int64_t capacity) {
  const auto say = [&](const std::string& words) {
    std::strncpy(text, words.c_str(), capacity - 1);
    text[capacity - 1] = '\0';
  };
  try {
    const auto plan = jaxplain::PlanFor(geometry, n);
    say(plan->implementation);
    return plan->packing.length();
  } catch (const std::exception& error) {
    say(error.what());
    return -1;
  }
}

extern "C" const char* jaxplain_native_onednn() {
  static const std::string words = [] {
    const dnnl_version_t* version = dnnl_version();
    return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
  }();
  return words.c_str();
}

#pragma GCC visibility pop
