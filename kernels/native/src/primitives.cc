#include "primitives.h"

#include <omp.h>

#include <map>
#include <mutex>

namespace jaxplain {
namespace {

using Memory = dnnl::memory;

constexpr size_t kMostPlans = 4096;  // a process has a few hundred shapes; beyond this the plans are made anew

Memory::desc ChannelsLast(int64_t images, int64_t channels, const Dims& space) {
  Memory::dims sizes{images, channels}, steps{Geometry::Product(space) * channels, 1};
  int64_t step = Geometry::Product(space) * channels;
  for (int64_t size : space) {
    step /= size;
    sizes.push_back(size);
    steps.push_back(step);
  }
  return Memory::desc(sizes, Memory::data_type::f32, steps);
}

Memory::dims WeightSizes(const Geometry& g) {
  Memory::dims sizes{g.channels_out / g.groups, g.channels_in / g.groups};
  if (g.groups > 1) sizes.insert(sizes.begin(), g.groups);
  sizes.insert(sizes.end(), g.kernel.begin(), g.kernel.end());
  return sizes;
}

Memory::desc BiasOf(const Geometry& g) {
  if (!g.has(kBias)) return Memory::desc();
  return Memory::desc({g.channels_out}, Memory::data_type::f32, Memory::format_tag::a);
}

struct Made {
  dnnl::primitive primitive;
  Memory::desc source, result, weights, scratch;
  std::string implementation;
};

Made Make(const Geometry& g, const Memory::desc& weights) {
  const Memory::desc x = ChannelsLast(g.images, g.channels_in, g.in);
  const Memory::desc y = ChannelsLast(g.images, g.channels_out, g.out);
  Memory::dims spread;
  for (int64_t dilation : g.dilation) spread.push_back(dilation - 1);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own is not for many threads
  const Memory::desc bias = BiasOf(g);
  const auto direct = dnnl::algorithm::convolution_direct;
  const auto kind = g.pulls() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const dnnl::convolution_forward::primitive_desc forward(
      Cpu(), kind, direct, x, weights, bias, y, g.strides, spread, g.low, g.high, attributes);
  if (!g.pulls()) {
    return {dnnl::convolution_forward(forward), x, y, forward.weights_desc(), forward.scratchpad_desc(),
            forward.impl_info_str()};
  }
  const dnnl::convolution_backward_data::primitive_desc back(
      Cpu(), direct, x, weights, y, g.strides, spread, g.low, g.high, forward, attributes);
  return {dnnl::convolution_backward_data(back), y, x, back.weights_desc(), back.scratchpad_desc(),
          back.impl_info_str()};
}

bool IsReference(const std::string& implementation) { return implementation.find("ref") != std::string::npos; }

std::shared_ptr<const Plan> MakePlan(const Geometry& g) {
  if (g.batch <= 0 || g.images <= 0 || g.batch % g.images != 0 || (g.bands > 1 && g.images != 1)) {
    throw std::invalid_argument("the batch cannot be shared out so");
  }
  if (g.pulls() ? g.has(kBias) || g.has(kAddend) || g.has(kRelu) : g.has(kMask)) {
    throw std::invalid_argument("results alone get a bias, an addend or a ReLU, and cotangents alone a mask");
  }
  const OneThread one_thread;
  auto plan = std::make_shared<Plan>();
  plan->geometry = g;
  Geometry whole = g;
  whole.bands = 1;
  const Memory::desc any(WeightSizes(g), Memory::data_type::f32, Memory::format_tag::any);
  Made made = Make(whole, any);
  if (IsReference(made.implementation)) throw std::invalid_argument("oneDNN has only reference loops for it");
  plan->implementation = made.implementation;
  plan->packed_weights = made.weights;
  plan->bias = BiasOf(g);
  plan->packing = Packing(g, made.weights);
  for (int64_t number = 0; number < g.bands; ++number) {
    const std::optional<Band> band = Cut(g, number);
    if (!band) throw std::invalid_argument("a band of rows would see padding alone");
    if (g.bands > 1) made = Make(band->geometry, plan->packed_weights);
    if (made.implementation != plan->implementation) {
      throw std::invalid_argument("a band of rows would need weights in another order");
    }
    const int64_t row_in = g.elements_in() / g.in[0], row_out = g.elements_out() / g.out[0];
    const int64_t at_in = band->first_in * row_in, at_out = band->first_out * row_out;
    plan->tasks.push_back({made.primitive, made.source, made.result, made.scratch, g.pulls() ? at_out : at_in,
                           g.pulls() ? at_in : at_out});
  }
  return plan;
}

}  // namespace

OneThread::OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(before_); }

const dnnl::engine& Cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

std::shared_ptr<const Plan> PlanFor(const int64_t* values, int64_t n) {
  static std::mutex mutex;
  static std::map<std::vector<int64_t>, std::shared_ptr<const Plan>> plans;
  const std::vector<int64_t> key(values, values + n);
  const std::lock_guard<std::mutex> lock(mutex);
  if (const auto found = plans.find(key); found != plans.end()) return found->second;
  if (plans.size() >= kMostPlans) plans.clear();
  return plans[key] = MakePlan(Geometry::Read(values, n));
}

}  // namespace jaxplain
