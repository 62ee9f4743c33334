"""Messages made again: what announced a file, out of the journal and the link in the file's own item."""

import json

from jaas_archive.archive import Archive
from jaas_archive.backlog import Backlog, OpenFile, journaled_document
from jaas_archive.kinds import with_link
from jaas_archive.messages import EventMessage


def message_of(file: OpenFile, backlog: Backlog, archive: Archive) -> EventMessage | None:
    """The message that announced the file; None if the journal does not have its event, or the link is gone."""
    found = backlog.event_of_file(file)
    if found is None:
        return None
    item, link = found
    document, object_key, received_at_ms = journaled_document(item)
    if document is None:
        document = json.loads(archive.read(object_key))
    data = with_link(document["eventType"], document["data"], link)
    return EventMessage(document | {"data": data}, received_at_ms)
