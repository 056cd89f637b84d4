#!/usr/bin/python3
"""Writes ONNX's own node tests as files that hourglass's importer reads.

For each case of onnx.backend.test:
    OP.NAME.onnx        the model, with its inputs' values as initializers, so that the floating ones become parameters;
                        where the result is integer or boolean (shapes, comparisons), as constants, so that all of it folds.
                        A network has an image as its input: one that nothing reads stands in.
    OP.NAME.expected.onnx  no network: the outputs that ONNX expects, as initializers

Cases with sequences, optionals, strings or complex numbers are left out; the last line says how many.

usage: generate.py FOLDER
"""
import pathlib
import sys
import warnings

try:
    import numpy as np

    # ONNX's generators were written for a numpy that still had these.
    for alias in (bool, int, float, complex, object, str):
        if alias.__name__ not in vars(np):
            setattr(np, alias.__name__, alias)
    import onnx
    from onnx import helper, numpy_helper
    from onnx.backend.test.case import node as node_cases
except ImportError as error:
    sys.exit(f"{error}; scripts/setup test installs what this needs")

# Oldest container and opset with what the files need: initializers that are no inputs; opset 7, for ops that have not
# changed since 1 or 6.
LEAST_IR, LEAST_OPSET = 4, 7

# Further outputs of these are for inference or for undoing: running statistics, masks, places of maxima.
FIRST_OUTPUT_ONLY = {"BatchNormalization", "Dropout", "MaxPool"}

TEXTS = (onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)


def cases():
    warnings.simplefilter("ignore")
    collect = node_cases.collect_testcases
    # Newer versions take the op whose cases are wanted.
    return collect(None) if collect.__code__.co_argcount else collect()


def tensors_of(values, infos):
    """Named TensorProtos, or None when one is no numeric tensor."""
    tensors = []
    for value, info in zip(values, infos):
        if not info.type.HasField("tensor_type") or info.type.tensor_type.elem_type in TEXTS:
            return None
        if isinstance(value, onnx.TensorProto):
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value)
            tensor.name = info.name
        else:
            tensor = numpy_helper.from_array(np.asarray(value), info.name)
        # numpy knows no bfloat16: such tensors come as bits.
        if tensor.data_type != info.type.tensor_type.elem_type:
            return None
        tensors.append(tensor)
    return tensors


def is_float(tensor):
    return tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)


def write(case, op, folder):
    source = case.model
    inputs, outputs = case.data_sets[0]
    given = tensors_of(inputs, source.graph.input)
    expected = tensors_of(outputs, source.graph.output)
    if given is None or expected is None:
        return False
    model = onnx.ModelProto()
    model.CopyFrom(source)
    model.ir_version = max(model.ir_version, LEAST_IR)
    for opset in model.opset_import:
        opset.version = max(opset.version, LEAST_OPSET) if not opset.domain else opset.version
    graph = model.graph
    if len(graph.node) == 1 and graph.node[0].op_type in FIRST_OUTPUT_ONLY:
        for list_ in (graph.output, graph.node[0].output, expected):
            del list_[1:]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("unread image", onnx.TensorProto.FLOAT, [1, 1, 8, 8]))
    if any(is_float(tensor) for tensor in expected):
        graph.initializer.extend(given)
    else:
        nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in given]
        nodes.extend(graph.node)
        del graph.node[:]
        graph.node.extend(nodes)
    (folder / f"{op}.{case.name}.onnx").write_bytes(model.SerializeToString())
    data = helper.make_graph([], case.name, [], [], initializer=expected)
    (folder / f"{op}.{case.name}.expected.onnx").write_bytes(helper.make_model(data).SerializeToString())
    return True


def op_of(case, all_cases):
    """What the case is about. Functions come twice: as one node, and "expanded" to what they are made of."""
    case = all_cases.get(case.name.split("_expanded")[0], case)
    ops = {node.op_type for node in case.model.graph.node} - {"Constant"}
    return ops.pop() if len(ops) == 1 else "several"


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.onnx"):
        stale.unlink()
    all_cases = {case.name: case for case in cases()}
    written = sum(write(case, op_of(case, all_cases), folder) for case in all_cases.values())
    print(f"{folder}: {written} of {len(all_cases)} cases of ONNX {onnx.__version__}")


if __name__ == "__main__":
    main()
