// oneDNN's primitives for the tasks of a convolution, made once per geometry and shared by all threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "geometry.h"
#include "packing.h"

namespace jaxplain {

// oneDNN makes and runs primitives with as many OpenMP threads as the calling thread is allowed. Here that is one: work
// is spread by XLA's own threads. The number belongs to the thread, and is put back.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// The primitive of one band; the source is x or, pulling back, the cotangent of y.
struct Task {
  dnnl::primitive primitive;
  dnnl::memory::desc source, result, scratch;
  int64_t source_offset, result_offset;  // floats from the image's beginning
};

struct Plan {
  Geometry geometry;
  std::string implementation;
  dnnl::memory::desc packed_weights, bias;
  Packing packing;
  std::vector<Task> tasks;  // one per band
};

const dnnl::engine& Cpu();

// Returns the plan for a geometry; thread-safe. Throws dnnl::error or std::invalid_argument with the reason where there
// is none, or where oneDNN has nothing but its reference loops.
std::shared_ptr<const Plan> PlanFor(const int64_t* values, int64_t n);

}  // namespace jaxplain
