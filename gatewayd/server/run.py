"""One run of `gatewayd run`: the process around the supervisor, from the options to the exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import uvloop

from gatewayd.api.objects import Objects
from gatewayd.observe.log import Log, describe, fault, open_nonblocking
from gatewayd.server.follower import Parts
from gatewayd.server.heap import collect_seldom
from gatewayd.server.limits import account, raise_open_files, share_one_heap
from gatewayd.server.listening import usable
from gatewayd.server.options import RunOptions
from gatewayd.server.process import Launch
from gatewayd.server.reload import Plan, Planned, Source, Wish
from gatewayd.server.supervisor import RefusedError, Supervisor


def files(options: RunOptions) -> tuple[Source, Plan]:
    """The real source and plan for some options; imported late, so that tests can do without."""
    from gatewayd.plan.build import Options, Planner  # noqa: PLC0415
    from gatewayd.sources.files import FileSource  # noqa: PLC0415

    planner = Planner()

    def plan(objects: Objects, generation: int) -> Planned:
        return planner.plan(
            objects,
            Options(
                controller_name=options.controller_name,
                address_pool=options.address_pool,
                port_map=dict(options.port_map),
                generation=generation,
                usable=usable,
                now=time.time(),
            ),
        )

    return FileSource(options.paths), plan


def run(options: RunOptions, parts: Parts = files) -> int:
    """Run the gateway until it is told to stop; the exit status: 0 after a drain, 1 when it could not begin."""
    collect_seldom()
    share_one_heap()
    raise_open_files()
    descriptor = open_nonblocking(2)
    log = Log(descriptor, options.log_level)
    try:
        launch = _launch(options, descriptor)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_supervise(options, parts, log, launch))
    except (RefusedError, ValueError, OSError) as error:
        log.error(f"gatewayd cannot run: {error}")  # noqa: TRY400, G004 - our own log; no traceback for users
        return 1
    except Exception as error:  # noqa: BLE001 - users see a line, not a traceback
        log.error("gatewayd cannot run", error=describe(error))  # noqa: TRY400
        return 1
    finally:
        log.flush()


def _launch(options: RunOptions, log: int) -> Launch:
    if options.access_log == "-":
        access = open_nonblocking(1)
    else:
        access = os.open(options.access_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o640)
    user, group = account(options.user)
    admin = options.admin or ""
    return Launch(options.worker_command, access, log, options.workers, admin, options.log_level, user, group)


async def _supervise(options: RunOptions, parts: Parts, log: Log, launch: Launch) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: log.error(str(context["message"]), error=fault(context)))
    supervisor = Supervisor(loop, options, parts, log, launch)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, number)
    loop.add_signal_handler(signal.SIGHUP, supervisor.follower.wish, Wish(forced=True))
    return await supervisor.run()
