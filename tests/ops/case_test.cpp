// What is said of a file of cases that does not fit the ops.
#include "tests/ops/case.h"

#include <doctest/doctest.h>

#include <fstream>

#include "graph/error.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

void infer_same(InferContext& ctx) { ctx.outputs.push_back(*ctx.inputs[0]); }

const OpDef kOps[] = {
    {.name = "Double", .infer = infer_same},
    {.name = "Scale", .attrs = {{"factor", 1.0}, {"axes", Dims{}}}, .infer = infer_same},
    {.name = "Parts", .lower = [](LowerContext&) { return std::vector<ValueId>{}; }},
};

class Files {
 public:
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] CaseTable read() const { return read_cases(folder_.string(), table_); }
  [[nodiscard]] std::string error() const {
    try {
      static_cast<void>(read());
    } catch (const Error& e) {
      const std::string what = e.what(), folder = folder_.string() + "/";
      return what.starts_with(folder) ? what.substr(folder.size()) : what;
    }
    return "none";
  }
  [[nodiscard]] const OpTable& table() const { return table_; }

 private:
  TemporaryFolder folder_;
  OpTable table_{{std::span(kOps)}};
};

// Of one file.
std::string error_of(const std::string& text) {
  const Files files;
  files.write("a.txt", text);
  return files.error();
}

}  // namespace

TEST_CASE("cases are read from text files") {
  const Files files;
  files.write("a.txt", "# Two ops.\n\n[Double Scale]\n1x8x5x7\n# Another rank.\n13\n[Scale]\n2x3 | factor=0.5\n");
  files.write("README.md", "no cases");
  CHECK(files.read() == CaseTable{{"Double", {"1x8x5x7", "13"}}, {"Scale", {"1x8x5x7", "13", "2x3 | factor=0.5"}}});
}

TEST_CASE("a line that is no case of its op names its file and line") {
  CHECK(error_of("[Double]\n1x8\n1x8xy\n") == "a.txt:3: 'y' is not an integer");
  CHECK(error_of("[Double]\n1x8@0..two\n") == "a.txt:2: 'two' is not a number");
  CHECK(error_of("[Double]\nf31:1x8\n") == "a.txt:2: 'f31' is not an element type");
  CHECK(error_of("[Double]\n1x8 1x8\n") == "a.txt:2: Double has 1 to 1 inputs, found 2");
  CHECK(error_of("[Double]\n1x8 | factor=2\n") == "a.txt:2: Double has no attribute 'factor'");
  CHECK(error_of("[Scale]\n\n1x8 | factor\n") == "a.txt:3: 'factor' is not a number");
  CHECK(error_of("[Scale]\n1x8 | axes=[1,2.5]\n") == "a.txt:2: '2.5' is not an integer");
  CHECK(error_of("1x8\n[Double]\n") == "a.txt:1: expected [OP OP ...] before the first case, found '1x8'");
  CHECK(error_of("[Double\n1x8\n") == "a.txt:1: expected [OP OP ...], found '[Double'");
}

TEST_CASE("cases of no op, and an op's cases in two files, are mistakes") {
  CHECK(error_of("[Double]\n1\n[Triple]\n1\n") == "a.txt:3: there is no op 'Triple'");
  CHECK(error_of("# Nothing else.\n") == "a.txt: has no [OP OP ...]");
  const Files files;
  files.write("a.txt", "[Double]\n1\n");
  files.write("b.txt", "[Double]\n2\n");
  CHECK(files.error().ends_with(".txt:1: another file has cases of Double too"));
}

TEST_CASE("an op without cases is found") {
  const Files files;
  files.write("a.txt", "[Double]\n1\n[Scale]\n# None yet.\n");
  CHECK(ops_without_cases(files.table(), files.read()) == std::vector<std::string_view>{"Scale"});
}

}  // namespace hourglass::test
