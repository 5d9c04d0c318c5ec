"""A client's connections: how many, which one is used, when it is trusted, what becomes of those who wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.http.messages import ResponseHead
from mcpcore.http.url import parse_url
from mcpcore.transports.http_connection import HttpConnection, Lost
from mcpcore.transports.http_pool import HttpPool, Unreachable
from tests.transports.http_toys import Asked, HttpToy, Wire, silence


class Get:
    """One request; ``end`` is done when its answer is complete, or failed with what was lost."""

    verb = "GET"

    def __init__(self, path: str = "/") -> None:
        self.path = path
        self.connection: HttpConnection | None = None
        self.used: HttpConnection | None = None
        self.head: ResponseHead | None = None
        self.body = b""
        self.end: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data(self) -> bytes:
        self.used = self.connection
        return f"GET {self.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    def on_head(self, head: ResponseHead) -> None:
        self.head = head

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_end(self) -> None:
        self.end.set_result(self.body)

    def on_lost(self, lost: Lost) -> None:
        self.end.set_exception(lost)


def answer(asked: Asked, wire: Wire) -> None:
    wire.answer(200, asked.target)


def pool_of(toy: HttpToy, **limits: Any) -> HttpPool:
    return HttpPool(parse_url(toy.url), Limits(**limits), connect_seconds=5)


async def got(pool: HttpPool, path: str = "/", urgent: bool = False) -> Get:
    request = Get(path)
    pool.submit(request, urgent)
    await request.end
    return request


def test_the_connection_used_last_is_used_next() -> None:
    async def main() -> None:
        async with HttpToy(handlers={"*": answer}) as toy:
            pool = pool_of(toy)
            first = [Get(f"/{n}") for n in range(3)]
            for request in first:
                pool.submit(request)
            assert [await request.end for request in first] == [b"/0", b"/1", b"/2"]
            assert pool.sockets == 3
            again = [await got(pool) for _ in range(5)]
            assert len({id(request.used) for request in again}) == 1 and toy.connections == 3
            pool.abort()
            assert pool.sockets == 0

    asyncio.run(main())


def test_whoever_comes_when_all_are_taken_waits_its_turn() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def slow(asked: Asked, wire: Wire) -> None:
            await go.wait()
            answer(asked, wire)

        async with HttpToy(handlers={"*": slow}) as toy:
            pool = pool_of(toy, pool_connections=3)
            requests = [Get(f"/{n}") for n in range(10)]
            for request in requests:
                pool.submit(request)
            await toy.seen("GET", 3)
            assert pool.sockets == 3 and pool.waiting == 7
            go.set()
            assert [await request.end for request in requests] == [b"/%d" % n for n in range(10)]
            assert toy.most_open == 3 and pool.waiting == 0
            order = [asked.target for asked in toy.asked[3:]]
            assert order == [f"/{n}" for n in range(3, 10)], "first come, first served"
            pool.abort()

    asyncio.run(main())


def test_what_is_urgent_has_room_of_its_own() -> None:
    async def main() -> None:
        def urgent(asked: Asked, wire: Wire) -> Any:
            return answer(asked, wire) if asked.target == "/urgent" else silence(asked, wire)

        async with HttpToy(handlers={"*": urgent}) as toy:
            pool = pool_of(toy, pool_connections=4)
            for n in range(10):
                pool.submit(Get(f"/{n}"))
            await toy.seen("GET", 3)
            assert (await got(pool, "/urgent", urgent=True)).body == b"/urgent"
            assert pool.waiting == 7 and pool.sockets == 4
            pool.abort()

    asyncio.run(main())


def test_who_does_not_want_to_wait_any_more_is_forgotten() -> None:
    async def main() -> None:
        async with HttpToy(handlers={"*": silence}) as toy:
            pool = pool_of(toy, pool_connections=1)
            first, second = Get("/1"), Get("/2")
            pool.submit(first)
            await toy.seen("GET")
            pool.submit(second)
            assert pool.withdraw(second) and not pool.withdraw(second) and not pool.withdraw(first)
            assert first.connection is not None
            first.connection.abort()
            assert pool.sockets == 0 and not first.end.done()
            pool.abort()

    asyncio.run(main())


def test_an_answer_that_closes_its_connection_makes_room() -> None:
    async def main() -> None:
        def close(asked: Asked, wire: Wire) -> None:
            wire.answer(200, asked.target, Connection="close")
            wire.close()

        async with HttpToy(handlers={"*": close}) as toy:
            pool = pool_of(toy, pool_connections=1)
            requests = [Get(f"/{n}") for n in range(4)]
            for request in requests:
                pool.submit(request)
            assert [await request.end for request in requests] == [b"/0", b"/1", b"/2", b"/3"]
            assert toy.connections == 4 and toy.most_open <= 2
            pool.abort()

    asyncio.run(main())


def test_idle_connections_are_closed_in_time() -> None:
    async def main() -> None:
        async with HttpToy(handlers={"*": answer}) as toy:
            pool = pool_of(toy, pool_idle_seconds=0.03)
            await got(pool)
            async with asyncio.timeout(2):
                while pool.sockets:
                    await asyncio.sleep(0.01)
            await got(pool)
            assert toy.connections == 2
            pool.abort()

    asyncio.run(main())


def test_a_connection_is_not_used_longer_than_its_server_keeps_it() -> None:
    async def main() -> None:
        def hint(asked: Asked, wire: Wire) -> None:
            wire.answer(200, "x", Keep_Alive="timeout=1, max=100")

        async with HttpToy(handlers={"*": hint}) as toy:
            pool = pool_of(toy)
            await got(pool)
            await got(pool)
            assert toy.connections == 2, "a second less than a second is none"
            pool.abort()

    asyncio.run(main())


def test_a_connection_that_its_server_closed_is_noticed_before_it_is_used() -> None:
    async def main() -> None:
        async with HttpToy(handlers={"*": answer}) as toy:
            pool = pool_of(toy)
            await got(pool)
            await toy.stop()
            async with asyncio.timeout(2):
                while pool.sockets:
                    await asyncio.sleep(0)
            await toy.start()
            await got(pool)
            assert toy.connections == 2
            pool.abort()

    asyncio.run(main())


def test_even_where_the_loop_had_no_time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the connection lies in the socket, and the loop has not seen it yet."""
    monkeypatch.setattr("mcpcore.transports.http_connection._IDLE_CHECK", 0.0)

    async def main() -> None:
        import socket

        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        pool = HttpPool(parse_url(f"http://127.0.0.1:{listener.getsockname()[1]}/"), Limits())
        first = Get()
        pool.submit(first)
        peer, _ = await loop.sock_accept(listener)
        await loop.sock_recv(peer, 1000)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await first.end
        peer.close()  # and without giving the loop a turn:
        second = Get()
        pool.submit(second)
        assert second.connection is None, "it was not written to the dead connection"
        peer, _ = await loop.sock_accept(listener)
        await loop.sock_recv(peer, 1000)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await second.end
        pool.abort()
        peer.close()
        listener.close()

    asyncio.run(main())


def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    async def main() -> None:
        async def chatty(asked: Asked, wire: Wire) -> None:
            answer(asked, wire)
            await asyncio.sleep(0.01)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

        async with HttpToy(handlers={"*": chatty}) as toy:
            pool = pool_of(toy)
            await got(pool, "/1")
            async with asyncio.timeout(2):
                while pool.sockets:
                    await asyncio.sleep(0.001)
            assert (await got(pool, "/2")).body == b"/2"
            pool.abort()

    asyncio.run(main())


def test_bytes_behind_an_answer_close_the_connection_too() -> None:
    async def main() -> None:
        def chatty(asked: Asked, wire: Wire) -> None:
            body = asked.target
            wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}HTTP/1.1 200 OK\r\n\r\n")

        async with HttpToy(handlers={"*": chatty}) as toy:
            pool = pool_of(toy)
            assert (await got(pool, "/1")).body == b"/1" and (await got(pool, "/2")).body == b"/2"
            assert toy.connections == 2
            pool.abort()

    asyncio.run(main())


def test_interim_answers_are_passed_over() -> None:
    async def main() -> None:
        def early(asked: Asked, wire: Wire) -> None:
            wire.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
            answer(asked, wire)

        async with HttpToy(handlers={"*": early}) as toy:
            pool = pool_of(toy)
            found = await got(pool)
            assert found.head is not None and found.head.status == 200
            await got(pool)
            assert toy.connections == 1
            pool.abort()

    asyncio.run(main())


def test_an_answer_that_comes_before_the_request_is_written_ends_its_connection() -> None:
    async def main() -> None:
        class Large(Get):
            verb = "POST"

            def data(self) -> bytes:
                return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n" + bytes(90_000_000)

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(1)
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            pool = HttpPool(parse_url(f"http://127.0.0.1:{port}/"), Limits())
            request = Large()
            pool.submit(request)
            await request.end
            assert request.head is not None and request.head.status == 413 and pool.sockets == 0
            pool.abort()
            server.close()
            await asyncio.sleep(0)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))

    asyncio.run(main())


def test_nobody_there_fails_each_who_waits() -> None:
    async def main() -> None:
        toy = HttpToy()
        await toy.start()
        await toy.stop()
        pool = pool_of(toy, pool_connections=2)
        requests = [Get() for _ in range(5)]
        for request in requests:
            pool.submit(request)
        for request in requests:
            with pytest.raises(Unreachable, match="refused"):
                await request.end
        await asyncio.sleep(0)
        assert pool.sockets == 0 and pool.waiting == 0
        with pytest.raises(Unreachable):
            await pool.warm_up()
        pool.abort()

    asyncio.run(main())


def test_connecting_has_its_limit_of_time() -> None:
    async def main() -> None:
        async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(nothing, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            pool = HttpPool(parse_url(f"https://127.0.0.1:{port}/"), Limits(), connect_seconds=0.05)
            request = Get()
            pool.submit(request)
            with pytest.raises(Unreachable, match=r"0\.05 seconds \(limit 'connect'\)"):
                await request.end
            pool.abort()
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))

    asyncio.run(main())


def test_closing_while_it_connects_leaves_nothing() -> None:
    async def main() -> None:
        async with HttpToy(handlers={"*": answer}) as toy:
            for turns in range(12):
                pool = pool_of(toy)
                requests = [Get() for _ in range(3)]
                for request in requests:
                    pool.submit(request)
                for _ in range(turns):
                    await asyncio.sleep(0)
                pool.abort()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert pool.sockets == 0
            async with asyncio.timeout(5):
                while toy.open:
                    await asyncio.sleep(0.001)

    asyncio.run(main())
