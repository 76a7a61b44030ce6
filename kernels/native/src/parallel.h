// A loop shared by the caller and XLA's own threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "xla/ffi/api/ffi.h"

namespace jaxplain {

// Calls body(0) ... body(n - 1), each once, on the caller and on as many threads of the pool as there are.
//
// Whoever is free takes the next number, so nothing waits for a thread that has not begun: the caller may itself be a
// thread of the pool, and all others may be busy. Helpers that come late find nothing left. Returns the first error.
template <typename Body>
std::string ShareOut(xla::ffi::ThreadPool& pool, int64_t n, const Body& body) {
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable done;
    int64_t n_finished = 0;
    std::string error;
  };
  auto state = std::make_shared<State>();
  const Body* todo = &body;  // alive while numbers are left, since the caller waits for those that were taken
  auto work = [state, n, todo] {
    for (int64_t i = state->next++; i < n; i = state->next++) {
      std::string error;
      try {
        (*todo)(i);
      } catch (const std::exception& raised) {
        error = raised.what();
      }
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (!error.empty() && state->error.empty()) state->error = error;
      if (++state->n_finished == n) state->done.notify_all();
    }
  };
  const int64_t n_helpers = std::min(pool.num_threads(), n) - 1;
  for (int64_t i = 0; i < n_helpers; ++i) pool.Schedule([work] { work(); });
  work();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->done.wait(lock, [&] { return state->n_finished == n; });
  return state->error;
}

}  // namespace jaxplain
