// A thread that does one job at a time for another. OpenMP gives it a team of its own.
//
//   Worker worker;
//   worker.begin([&] { fit->step(); });
//   ...
//   worker.wait();   // throws what the job threw
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace hourglass {

class Worker {
 public:
  Worker() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

  // There is one job at a time: wait() before the next one.
  void begin(std::function<void()> job);
  // Returns when the job is done.
  void wait();

 private:
  void work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::function<void()> job_;  // empty: nothing to do
  std::exception_ptr error_;
  std::jthread thread_;  // the last member: it ends before the others do
};

}  // namespace hourglass
