// ONNX file -> Graph.
//
// A file is bound to one image size: its image input gets H and W, every subgraph that then is constant folds (so the
// Shape/Gather/Div/Concat chains of a PyTorch export disappear), and all shapes are static.
//
//   const OnnxFile file = OnnxFile::read("net.onnx");        // parsed and checked once
//   ImportedModel model = file.bind(op_table(), {.height = 512, .width = 384});
//
// What trains: float initializers with more than one element, one-element ones in a weight's place (a Conv's bias), and
// the outputs of RandomUniform and RandomNormal. Everything else is constant. An initializer that is read through
// Identity or Cast becomes a parameter of its own: PyTorch merges equal initial values so when it exports.
// double and float16 initializers are converted to f32.
//
// An input with an initializer of its own is a parameter or a constant like any other, unless there is no other input:
// then it is the image, and the initializer its default value (Value::data).
//
// Nothing is dropped: Dropout passes its input on, and a random mask (DropPath: Floor of a uniformly drawn number, or
// Cast of its comparison with a constant; Bernoulli) is replaced by its mean.
//
// Functions of the file's own are written out where they are called. So are an If whose condition and a Loop whose trip
// count are known once the size is: the branch that is taken, and every iteration.
//
// Opsets: from 7 to 24, or the newest that the installed ONNX library knows; what it does not know, its checker can't
// check, which is noted. Half precision, of a whole network or inside of it, becomes f32. External data is read from
// the model's own folder only, and not at all for a model that comes from memory. Errors name the file; what is not
// supported is listed all at once, by node name and op type.
//
// Bounds, so that no file takes more than minutes and a few GiB: files up to 2 GB and as much of external data; 100,000
// nodes; 2^28 elements in one constant, 2^29 in all, and 2^27 in what is computed from them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

struct ImportOptions {
  // Of the image input; 0 takes the file's. A file that fixes another size is an error.
  int64_t height = 0, width = 0;
  // false drops the values of the parameters that the file gives: whoever trains draws them anew.
  bool keep_values = true;
  // A function as the file says, nothing of which is trained: initializers are constants, and normalisations that are
  // not said to train take their running statistics.
  bool fixed = false;
  // The one output that is wanted, by its name; empty: all of them. What it does not need is left out.
  std::string output = {};
};

struct ImportedModel {
  Graph graph;  // one input: the image
  std::vector<std::string> notes;
  int opset = 0;
  std::string producer;
};

// The image input as the file declares it; 0 = left open.
struct ImageInput {
  std::string name;
  int64_t channels = 0, height = 0, width = 0;
};

// "1x3x?x?": of a shape whose extents of 0 are open.
std::string open_shape(const Shape& shape);

// What the importer makes of one node of the file.
struct NodeReport {
  std::string name, op;
  int version = 0;       // the opset that the op's definition is from: 11 for the Conv of opset 13; 0: not known
  std::string problem;   // empty when there is none
  bool blocked = false;  // nothing is wrong with it, but it reads what a node with a problem computes
  bool folded = false;   // a constant, once the image's size is known
};

// What an output would be. Behind a node with a problem, as far as the file declares it: 0 = left open.
struct OutputReport {
  std::string name;
  std::optional<Shape> shape;
};

// The file as a whole, whether it can be bound or not.
struct Examination {
  std::vector<NodeReport> nodes;      // in the order of computation; those that the outputs need
  std::vector<OutputReport> outputs;  // those that are wanted
  std::vector<std::string> problems;  // of the model rather than of a node
  int opset = 0;                      // as the file declares it
  std::string producer;
  // What could be bound, with all that the nodes with a problem read as outputs besides those wanted. What such a node
  // makes is an output of no node: a parameter, where ONNX itself knows its shape, and where it does not, what reads it
  // is missing. Nothing where not even that came about.
  std::optional<Graph> graph;
};

struct OnnxModel;

class OnnxFile {
 public:
  static OnnxFile read(const std::filesystem::path& path);
  // `name` stands in messages in the file's place.
  static OnnxFile parse(std::string_view bytes, std::string_view name);

  // May be called any number of times. The table must outlive the model.
  [[nodiscard]] ImportedModel bind(const OpTable& table, const ImportOptions& options = {}) const;
  [[nodiscard]] ImageInput image_input() const;
  [[nodiscard]] std::vector<std::string> output_names() const;
  // Sides of images that constants of the file may be meant for, a network that was exported for one size alone:
  // extents of tensors and of shapes, and sides of squares of so many pixels. The largest first, and few.
  [[nodiscard]] std::vector<int64_t> likely_sides() const;
  // Binds as far as that goes, and says of every node and of the whole what came of it: bind() stops at the first kind
  // of problem.
  [[nodiscard]] Examination examine(const OpTable& table, const ImportOptions& options = {}) const;

 private:
  explicit OnnxFile(OnnxModel model);
  std::shared_ptr<const OnnxModel> model_;
};

ImportedModel import_onnx(const std::filesystem::path& path, const OpTable& table, const ImportOptions& options = {});
ImportedModel import_onnx(std::string_view bytes, std::string_view name, const OpTable& table,
                          const ImportOptions& options = {});

// All initializers of a file, by name, in the file's own element types. The file need not hold a network.
std::map<std::string, HostTensor> read_tensors(const std::filesystem::path& path);

}  // namespace hourglass
