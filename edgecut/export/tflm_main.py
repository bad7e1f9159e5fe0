"""A minimal program around TensorFlow Lite Micro: one inference of the model, to start a firmware's own from."""

from __future__ import annotations

from edgecut.engine.c_text import c_symbol
from edgecut.records.artifact import Artifact
from edgecut.records.escapes import c_comment

# The calls are those of tensorflow/lite/micro/micro_interpreter.h and system_setup.h of tflite-micro@057dbe7.
_TEMPLATE = """\
/* {title}: one inference by TensorFlow Lite Micro, to start the firmware's own program from. Written by edgecut, which
   had no sources of TensorFlow Lite Micro to compile it with. It prints the position of the largest output. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "{name}_io.h"
#include "{name}_model.h"
#include "{name}_ops.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifndef {prefix}_TFLM_ARENA_BYTES
#error "define {prefix}_TFLM_ARENA_BYTES: nothing has measured or estimated the tensor arena"
#endif

namespace {{

alignas(16) uint8_t arena[{prefix}_TFLM_ARENA_BYTES];
{fill}
}}  // namespace

int main() {{
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel({symbol}_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) {{
    printf("the file's schema isn't the one of this interpreter\\n");
    return 1;
  }}
  static tflite::MicroMutableOpResolver<{prefix}_OP_COUNT> resolver;
  if ({symbol}_add_ops(&resolver) != kTfLiteOk) {{
    return 1;
  }}
  static tflite::MicroInterpreter interpreter(model, resolver, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) {{
    printf("an arena of %lu bytes is too small\\n", (unsigned long)sizeof(arena));
    return 1;
  }}
  for (size_t k = 0; k < interpreter.inputs_size(); k++) {{
    memset(interpreter.input(k)->data.data, 0, interpreter.input(k)->bytes);
  }}
{filled}  if (interpreter.Invoke() != kTfLiteOk) {{
    return 1;
  }}
  const {prefix}_OUTPUT_TYPE* output = static_cast<{prefix}_OUTPUT_TYPE*>(interpreter.output(0)->data.data);
  int best = 0;
  for (int k = 1; k < {prefix}_OUTPUT_COUNT; k++) {{
    if (output[k] > output[best]) {{
      best = k;
    }}
  }}
  printf("%d\\n", best);
  return 0;
}}
"""
_FILL = """
const uint8_t picture[{prefix}_INPUT_COUNT] = {{0}};  // the camera's bytes take its place

void fill({prefix}_INPUT_TYPE* input) {{
  for (int k = 0; k < {prefix}_INPUT_COUNT; k++) {{
    const int c = k % {prefix}_INPUT_DIM_3;
    const uint8_t byte = picture[k - c + {prefix}_CAMERA_CHANNEL(c)];
    input[k] = {symbol}_from_byte[{prefix}_FROM_BYTE_ROWS == 1 ? 0 : c][byte];
  }}
}}
"""
_FILLED = "  fill(static_cast<{prefix}_INPUT_TYPE*>(interpreter.input(0)->data.data));\n"


def tflm_main(name: str, artifact: Artifact, *, has_table: bool) -> dict[str, str]:
    """{file name: text} of NAME_tflm.cc, which includes the other headers of c; none of outputs without numbers.

    has_table: whether NAME_io.h has the table from camera bytes.
    """
    if artifact.outputs[0].dtype == "bool":
        return {}
    words = {"title": c_comment(name), "name": name, "symbol": c_symbol(name), "prefix": c_symbol(name).upper()}
    fill, filled = (_FILL.format(**words), _FILLED.format(**words)) if has_table else ("", "")
    return {f"{name}_tflm.cc": _TEMPLATE.format(**words, fill=fill, filled=filled)}
