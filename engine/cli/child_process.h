// Work in a process of its own, which tells this one line by line how it goes.
//
//   ChildProcess child([&] { return restore(file); });
//   while (child.read([&](const std::string& line) { ... })) { poll(child.descriptor()) ... }
//   const ChildProcess::End end = child.wait();
//
// What ends the process, a signal or too little memory, does not end this one. The process is a copy of this one, which
// must not have started threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>

#include "engine/cli/exit_code.h"

namespace hourglass::cli {

class ChildProcess {
 public:
  // Begins. In the child, standard output is a pipe to this process; work() returns the child's exit code. An Error
  // that it throws comes as a line, an object with the member "error", and "no_space" where that is a NoSpace. Ends
  // where this process does. Throws Error where there can be no further process.
  explicit ChildProcess(const std::function<ExitCode()>& work);
  // Kills it where it has not been waited for.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Becomes readable when there is something to read, or the end.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  // Hands on the lines that have come, without waiting for more. False once the last has come.
  bool read(const std::function<void(const std::string& line)>& take);
  // SIGTERM.
  void ask_to_end() const;

  struct End {
    int exit_code = 0;           // 128 + signal where one ended it
    int signal = 0;              // that was not its own doing; 0 for none
    std::size_t peak_bytes = 0;  // of resident memory
  };
  End wait();

 private:
  pid_t id_ = -1;
  int descriptor_ = -1;
  std::string unfinished_;  // line
};

}  // namespace hourglass::cli
