#include "engine/runtime/worker.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace hourglass {

class Worker::Thread {
 public:
  Thread() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

  void begin(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      job_ = std::move(job);
    }
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return static_cast<bool>(job_); })) {
      std::exception_ptr error;
      lock.unlock();
      try {
        job_();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::function<void()> job_;  // empty: nothing to do
  std::exception_ptr error_;
  std::jthread thread_;  // the last member: it ends before the others do
};

Worker::Worker() : thread_(std::make_unique<Thread>()) {}
Worker::~Worker() = default;

void Worker::begin(std::function<void()> job) { thread_->begin(std::move(job)); }
void Worker::wait() { thread_->wait(); }

}  // namespace hourglass
