"""What people write and say in a simulated meeting; `{guest}` is the guest's first name."""

from enum import Enum


class Role(Enum):
    """The parts in a meeting, each of which the archive has to cope with in its own way."""

    HOST = "moderator, starts the recording"
    REJOINER = "loses the connection and comes back with another JID"
    BARE = "JaaS does not tell the full JID"
    REGULAR = "nothing special"
    GUEST = "has no JWT, so JaaS says nothing about them"


HOST, REJOINER, BARE, REGULAR, GUEST = Role

CHAT: tuple[tuple[Role, str], ...] = (
    (HOST, "Good morning everyone 👋"),
    (REGULAR, "Morning! Sound check: I hear you well"),
    (REJOINER, "good morning ☕"),
    (BARE, "hi all, I am on the train, so mostly typing today 🚆"),
    (GUEST, "Hello, this is {guest} from Northwind, I join as a guest"),
    (HOST, "Welcome {guest}! Agenda: release 4.2, the audit, holidays"),
    (REGULAR, "can you share the link to the board?"),
    (HOST, "https://boards.example.com/release-4.2?view=swimlanes&sprint=31"),
    (BARE, "thanks"),
    (REJOINER, "The migration is done on staging. 1,204,311 rows in 38 min, no locks > 200 ms"),
    (REGULAR, "nice, that is half of what we planned"),
    (BARE, "did we test the way back too?"),
    (REJOINER, "yes: 41 min, data compared row by row"),
    (HOST, "Great. Then we keep Thursday."),
    (GUEST, "Thursday is a holiday with us, could the pilot start on Monday?"),
    (HOST, "Monday works. I put it into the plan"),
    (REGULAR, 'what about the "legacy <export>" button?'),
    (BARE, "I would hide it behind a flag & remove it in 4.3"),
    (REGULAR, "+1"),
    (REJOINER, "+1"),
    (HOST, "+1, decided."),
    (REJOINER, "sorry, my connection dropped, I am back"),
    (REGULAR, "wb 🙂"),
    (REJOINER, "where are we?"),
    (BARE, "audit"),
    (HOST, "Open points of the audit:\n1. access review\n2. log retention\n3. restore test"),
    (REGULAR, "1 is done, the report is in the shared folder"),
    (BARE, "2: we keep 90 days, the auditor wants 365"),
    (GUEST, "365 is also what our contract says"),
    (REJOINER, "storage for that is about 14 € a month, just do it"),
    (HOST, "OK, 365."),
    (BARE, "3 is planned for the week of the 13th"),
    (REGULAR, "their letter says 恢复测试须在本月完成, so it has to be done this month"),
    (BARE, "c'est noté, merci"),
    (HOST, "Holidays: please fill the table until Friday"),
    (REJOINER, "done"),
    (REGULAR, "done"),
    (BARE, "will do tonight"),
    (GUEST, "Thank you all, this was very helpful"),
    (HOST, "Thanks everyone, see you next week!"),
)

SPEECH: tuple[tuple[Role, str], ...] = (
    (HOST, "Good morning. I have started the recording, and I hope that this is fine with all of you."),
    (REGULAR, "Sure."),
    (HOST, "Let us begin with release four two. Where are we with the migration?"),
    (REJOINER, "We ran it on staging yesterday. It took thirty-eight minutes."),
    (REJOINER, "The way back takes a bit longer, forty-one minutes, and we compared every row."),
    (HOST, "That is better than I expected. Are there any objections to Thursday?"),
    (REGULAR, "Not from my side, but let us decide about the export button first."),
    (BARE, "Sorry, I was in a tunnel. I would hide it behind a flag."),
    (HOST, "Fine. Next is the audit, there are three points left."),
    (REGULAR, "The access review is finished."),
    (BARE, "For the log retention we need a decision, the auditor asks for a year."),
    (HOST, "Then a year it is. Thank you, that was quick. Have a good week."),
)

NAMES: tuple[str, ...] = (
    "Ada Nwosu",
    "Tomás Ferreira",
    "Mei-Ling Chou",
    "Jonas Lindqvist",
    "Priya Raman",
    "Zoë Müller",
    "Omar Haddad",
    "Sofía Castellanos",
    "Björk Jónsdóttir",
    "Nguyễn Thị Lan",
    "Karim O'Neill",
    "Łukasz Wójcik",
)

ROOMS: tuple[str, ...] = ("weeklysync", "release-review", "sales-pipeline", "Quarterly Planning", "besprechung-süd")
