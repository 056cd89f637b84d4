// A thread that does one job at a time for another. OpenMP gives it a team of its own.
//
//   Worker worker;
//   worker.begin([&] { fit->step(); });
//   ...
//   worker.wait();   // throws what the job threw
#pragma once

#include <functional>
#include <memory>

namespace hourglass {

class Worker {
 public:
  Worker();
  ~Worker();

  // There is one job at a time: wait() before the next one.
  void begin(std::function<void()> job);
  // Returns when the job is done.
  void wait();

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace hourglass
