"""Raw messages to columns: one typed decode a message, and a general one for the messages that it refuses.

    values ─ size, depth ─▶ typed decode ─ rows ─▶ id, time ─ kept rows ─▶ columns of the batch
                               │ refused           │ unusable
                               ▼                   ▼
                            general parse ─ row   Rejection

Both decodes fill the same structs, so everything after them is shared and cannot differ. Predictions and labels differ in what is mapped,
and in what is made of the columns: `Decoder`, `LabelDecoder`.
"""

from monitor.decode.classes import class_index, class_texts, indices_of
from monitor.decode.decoder import PROBABILITIES, Decoder, needs_ids
from monitor.decode.identity import id_hash
from monitor.decode.labels import LabelDecoder
from monitor.decode.mapping import needs

__all__ = ["PROBABILITIES", "Decoder", "LabelDecoder", "class_index", "class_texts", "id_hash", "indices_of", "needs", "needs_ids"]
