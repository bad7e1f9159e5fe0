"""The operators and tensors of a TFLite graph that isn't written yet, added one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from edgecut.graph.layer_call import LayerCall
from edgecut.graph.tensor import Tensor
from edgecut.lowering.layer_operators import ACTIVATIONS
from edgecut.lowering.parts import Part
from edgecut.lowering.renumbered import Renumbered
from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.flatbuffer import Tensor as FileTensor
from edgecut.tflite.kinds import BINARY, BOUNDS, CONSTANTS, FLOAT_ONLY, FUSED, FUSES_RELU, OF_MANY

Activations = Literal["int8", "float32"]


class GraphBuilder:
    """The operators and tensors so far, and the place of each value among the tensors."""

    def __init__(self, activations: Activations, part: Part) -> None:
        """part: which calls are added."""
        self.activations = activations
        self.part = part
        self.layer = ""  # whose operators are being added
        self.layers: dict[int, str] = {}  # by what an operator puts out
        self.tensors: list[FileTensor] = []
        self.operators: list[Operator] = []
        self.inputs: list[int] = []
        self.place: dict[Tensor, int] = {}
        self.makers: dict[int, Operator] = {}
        self.closed: set[int] = set()  # tensors whose operator has its activation already
        self.biased: set[int] = set()  # by a TRANSPOSE_CONV with a bias or a shift
        self.rows: dict[int, int] = {}  # by a sequence: the row of a picture that it is reshaped from
        self.operands: dict[tuple[object, ...], int] = {}
        self.renumbered = Renumbered()  # one for all copies

    def copy(self) -> GraphBuilder:
        """Another one with all that was added so far."""
        other = GraphBuilder(self.activations, self.part)
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, dict | list | set) else value)
        return other

    def graph(self) -> TfliteGraph:
        """The finished graph, without what nothing reads."""
        ends = tuple(self.place[self.part.same(end)] for end in self.part.ends)
        read, kept = set(ends), list[Operator]()
        for operator in reversed(self.operators):
            # A padding that every convolution took over is read by none, as is a RESHAPE between two rows.
            if operator.outputs[0] in read:
                read.update(operator.inputs)
                kept.append(operator)
        used = sorted(read.union(self.inputs))
        return self.renumbered.graph([self.tensors[place] for place in used], kept[::-1], self.inputs, ends)

    def add_input(self, call: LayerCall) -> None:
        """Add an input of the model."""
        self.place[call.outputs[0]] = self._value(call.outputs[0].shape)
        self.inputs.append(self.place[call.outputs[0]])

    def places(self, call: LayerCall) -> list[int]:
        """Where the inputs of a call are among the tensors."""
        return [self.place[self.part.same(tensor)] for tensor in call.inputs]

    def put(self, call: LayerCall, result: int) -> None:
        """Note where the outputs of a call are; further ones are tensors of their own."""
        for tensor in call.outputs:
            self.place[tensor] = result if tensor is call.outputs[0] else self._value(tensor.shape)

    def operator(
        self, name: str, inputs: Sequence[int], shape: Sequence[int | None], options: Mapping[str, object] | None = None
    ) -> int:
        """Append an operator; the place of what it puts out."""
        if name not in FLOAT_ONLY or self.activations == "float32":
            return self._append(name, inputs, self._value(shape), options)
        given = [self._append("DEQUANTIZE", (x,), self._value(self.tensors[x].shape, "float32"), None) for x in inputs]
        result = self._append(name, given, self._value(shape, "float32"), options)
        return self._append("QUANTIZE", (result,), self._value(shape), None)

    def _operands(self, name: str, inputs: Sequence[int], output: int) -> tuple[int, ...]:
        """The constants that an operator takes besides: equal ones are one tensor, but for the factors of a layer."""
        if name in BINARY and len(inputs) == 1:
            # A limit is one number; a factor or a shift has one for each channel.
            shape = () if name in BOUNDS else self.tensors[output].shape[-1:]
            return (self.constant(shape, self.activations),)
        if name not in CONSTANTS or len(inputs) > 1:
            return ()
        shape, made = self.tensors[inputs[0]].shape, self.tensors[output].shape
        found = []
        for number in range(CONSTANTS[name]):
            says = made if name == "RESHAPE" else (name, number, len(shape), *(a == b for a, b in zip(shape, made)))  # noqa: B905
            if says not in self.operands:
                self.operands[says] = self.constant((len(made),))
            found.append(self.operands[says])
        return tuple(found)

    def _append(self, name: str, inputs: Sequence[int], output: int, options: Mapping[str, object] | None) -> int:
        inputs = (*inputs, *self._operands(name, inputs, output))
        self.makers[output] = Operator(len(self.operators), name, 1, tuple(inputs), (output,), options or {})
        self.operators.append(self.makers[output])
        self.layers[output] = self.layer
        return output

    def weighted(
        self,
        name: str,
        call: LayerCall,
        source: int,
        weights: Sequence[int],
        shape: Sequence[int | None],
        options: Mapping[str, object],
    ) -> int:
        """Append an operator with weights and a bias, and the activation that the layer has of its own."""
        filters = weights[-1] if name == "DEPTHWISE_CONV_2D" else weights[0]
        kernel, bias = self.constant(weights), self.constant((filters,))
        output = self.operator(name, (source, kernel, bias), shape, options)
        return self.activation(call, output, shape)

    def activation(self, call: LayerCall, source: int, shape: Sequence[int | None]) -> int:
        """What a layer's own activation makes of a value; fused where a converter does."""
        name = call.activation
        steps = ACTIVATIONS.get(name, (name,))
        if len(steps) == 1 and steps[0] in FUSED and self._fusable(source, FUSES_RELU):
            self.closed.add(source)
            return source
        if steps == ("LOGISTIC", "MUL"):
            return self.operator("MUL", (source, self.operator("LOGISTIC", (source,), shape)), shape)
        return self.chain(steps, [source], shape) if steps else source

    def reshape(self, place: int, shape: Sequence[int | None]) -> None:
        """Let a value have another shape of the same size."""
        self.tensors[place] = replace(self.tensors[place], shape=(1, *(int(size or 1) for size in shape[1:])))

    def sole(self, tensor: Tensor) -> bool:
        """Whether a value has one reader and isn't put out, so that it needn't exist."""
        return self.part.is_sole(tensor)

    def leave_out(self, tensor: Tensor) -> None:
        """Take the last operator back where it makes this tensor, which one call alone reads and does without."""
        place = self.place[self.part.same(tensor)]
        is_last = bool(self.operators) and self.operators[-1].outputs == (place,)
        if is_last and self.sole(tensor) and all(made.is_constant for made in self.tensors[place + 1 :]):
            self.operators.pop()
            del self.tensors[place:], self.makers[place], self.layers[place]
            self.operands = {key: operand for key, operand in self.operands.items() if operand < place}

    def fuses(self, call: LayerCall, source: int, into: frozenset[str]) -> bool:
        """Whether a call of one input can be fused into the operator that makes it."""
        return self.sole(call.inputs[0]) and self._fusable(source, into)

    def maker(self, place: int) -> Operator | None:
        """The operator that puts a value out; None for an input."""
        return self.makers.get(place)

    def _fusable(self, place: int, into: frozenset[str]) -> bool:
        row = self.rows.get(place, place)
        maker = self.maker(row)
        if place in self.closed or row in self.closed or maker is None:
            return False
        return maker.name in into or (place in self.biased and into is FUSES_RELU)

    def chain(self, names: Sequence[str], inputs: Sequence[int], shape: Sequence[int | None]) -> int:
        """Append operators in a row; of a layer with several inputs all but the last two are taken two by two."""
        given, result = list(inputs), inputs[0]
        while len(given) > 2 and names[0] in OF_MANY:
            given = [self.operator(names[0], given[:2], shape), *given[2:]]
        for name in names:
            result = self.operator(name, given, shape)
            given = [result]
        return result

    def _value(self, shape: Sequence[int | None], dtype: Activations | None = None) -> int:
        """A new tensor. dtype: by default that of the file's activations."""
        sizes, dtype = (1, *(int(size or 1) for size in shape[1:])), dtype or self.activations
        self.tensors.append(FileTensor(len(self.tensors), "", sizes, dtype, (1.0,) if dtype == "int8" else ()))
        return len(self.tensors) - 1

    def constant(self, shape: Sequence[int], dtype: Activations | None = None) -> int:
        """A constant of a shape. dtype: by default weights have the file's, a bias 32 bits."""
        usual = self.activations if len(shape) > 1 or self.activations == "float32" else "int32"
        self.tensors.append(FileTensor(len(self.tensors), "", tuple(shape), dtype or usual, is_constant=True))
        return len(self.tensors) - 1
