"""How much memory and time the driver needs to record a given number of samples.

    python tests/bench/recording_at_scale.py [SAMPLES]

Records made-up requests through the driver's own code, in a process with all that a driver loads,
and shows the memory as the number grows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import psutil

from loopmark.harness.drivers import native_driver
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.sample import sample

SHOWN = 10
"""Lines of output."""


def main(samples: int) -> None:
    assert native_driver.__name__ in sys.modules, "loaded for its weight"
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "samples.parquet"
        started = time.process_time()
        random = Random(1)
        with SampleFile(path, 0) as file:
            recording = Recording(file)
            due_ns = time.monotonic_ns()
            for number in range(samples):
                due_ns += 100_000
                sent_ns = due_ns + 20_000
                first_byte_ns = sent_ns + int(random.expovariate(1e-6))
                recording.add(
                    sample(
                        user=number % 1000,
                        step="hello",
                        due_ns=due_ns,
                        sent_ns=sent_ns,
                        first_byte_ns=first_byte_ns,
                        done_ns=first_byte_ns + 10_000,
                        status=200,
                        body_bytes=19,
                    )
                )
                if (number + 1) % max(samples // SHOWN, 1) == 0:
                    mib = process.memory_info().rss / 1024**2
                    sys.stdout.write(f"{number + 1:>12,} samples  {mib:6.0f} MiB\n")
        seconds = time.process_time() - started
        sys.stdout.write(
            f"{samples:,} samples: {seconds / samples * 1e6:.1f} us of CPU each, "
            f"{path.stat().st_size / samples:.0f} bytes each on disk\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 10_000_000)
