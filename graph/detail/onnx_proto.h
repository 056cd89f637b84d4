// What is done to an ONNX file as protobuf has it, before it is read: its functions are put in their callers' places,
// what no output needs is left out, names and external data are looked up. Internal to graph/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace onnx {
class GraphProto;
class ModelProto;
class NodeProto;
}  // namespace onnx

namespace hourglass {

// Throws Error for what is no model.
onnx::ModelProto parse_proto(std::string_view bytes);

// "ai.onnx" is the default domain's other name.
void unify_domains(onnx::ModelProto& proto);

// Every name is given once, and before it is read: so there is no cycle. Of the main graph; throws Error.
void check_names(const onnx::GraphProto& graph);

// Puts the bodies of the file's own functions in the places of the nodes that call them, and drops the functions. Inner
// values and nodes are called CALLER/NAME. An attribute that refers to the function's own becomes the caller's, or its
// default. Throws Error for functions that call themselves, and for those written for other definitions of ONNX's ops
// than the model.
void inline_functions(onnx::ModelProto& proto);

// Drops the nodes that no output needs; returns "'NAME' (OP)" of those that are no constants.
std::vector<std::string> drop_unread_nodes(onnx::GraphProto& graph);

// Moves external data into the file, of which there may be 2 GiB. Throws Error.
void load_all_external_data(onnx::GraphProto& graph, const std::filesystem::path& folder);

// Nodes, those of subgraphs included.
int64_t count_nodes(const onnx::GraphProto& graph);

// The names that a node's subgraphs read, those of their own among them.
std::vector<std::string> names_read_inside(const onnx::NodeProto& node);

}  // namespace hourglass
