"""A mail server for tests: aiosmtpd with its Mailbox handler, and rules by the
local part of the recipient that make it fail the ways mail servers fail.

  refuse@     RCPT is answered 550
  defer-N@    the first N times RCPT is answered 451
  spam@       the mail itself is answered 554
  vanish@     the first mail is kept, but the connection breaks before the answer

One argument: the settings as JSON. It prints its port once it listens.
"""
import asyncio
import json
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])


class Handler(Mailbox):
    def __init__(self, directory):
        super().__init__(directory)
        self.seen = {}

    def count(self, address):
        self.seen[address] = self.seen.get(address, 0) + 1
        return self.seen[address]

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.partition("@")[0]
        if local == "refuse":
            return "550 5.1.1 <%s> no such user" % address
        if local.startswith("defer-") and self.count(address) <= int(local.removeprefix("defer-")):
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].partition("@")[0]
        if local == "spam":
            return "554 5.7.1 looks like spam"
        self.tls = server.transport.get_extra_info("ssl_object") is not None
        answer = await super().handle_DATA(server, session, envelope)
        if local == "vanish" and self.count("vanish") == 1:
            server.transport.abort()
        return answer

    def prepare_message(self, session, envelope):
        message = super().prepare_message(session, envelope)
        message["X-TLS"] = "yes" if self.tls else "no"
        message["X-User"] = (session.auth_data or b"").decode()
        message["X-Connection"] = str(session.peer[1])
        message["X-MailOptions"] = " ".join(envelope.mail_options)
        return message


def authenticate(server, session, envelope, mechanism, auth_data):
    login, password = auth_data.login.decode(), auth_data.password.decode()
    if (login, password) != (settings["user"], settings["password"]):
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=auth_data.login)


async def main():
    tls = None
    if settings["tls"] != "none":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(settings["cert"], settings["key"])
    handler = Handler(settings["directory"])

    def connection():
        starttls = settings["tls"] == "starttls"
        return SMTP(
            handler, enable_SMTPUTF8=settings["utf8"], hostname="mx.test",
            tls_context=tls if starttls else None, require_starttls=starttls,
            authenticator=authenticate if settings["user"] else None,
            auth_required=bool(settings["user"]), auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        connection, "127.0.0.1", settings["port"], ssl=tls if settings["tls"] == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
