"""Raw messages to columns: one typed decode a message, and a general one for the messages that it refuses.

    values ─ size, depth ─▶ typed decode ─ rows ─▶ id, time ─ kept rows ─▶ columns of the batch
                               │ refused           │ unusable
                               ▼                   ▼
                            general parse ─ row   Rejection

Both decodes fill the same structs, so everything after them is shared and cannot differ.
"""

from monitor.decode.decoder import Decoder
from monitor.decode.identity import id_hash
from monitor.decode.mapping import needs

__all__ = ["Decoder", "id_hash", "needs"]
