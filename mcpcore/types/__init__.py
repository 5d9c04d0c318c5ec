"""What users hold: tools, resources, prompts, content blocks, results. snake_case here, camelCase on the wire.

This file only re-exports; ``wire.py`` says how the types are read and written.
"""

from mcpcore.types import catalogue, content, questions, results, wire
from mcpcore.types.catalogue import *  # noqa: F403
from mcpcore.types.content import *  # noqa: F403
from mcpcore.types.questions import *  # noqa: F403
from mcpcore.types.results import *  # noqa: F403
from mcpcore.types.wire import *  # noqa: F403

__all__: list[str] = []
__all__ += catalogue.__all__
__all__ += content.__all__
__all__ += questions.__all__
__all__ += results.__all__
__all__ += wire.__all__
