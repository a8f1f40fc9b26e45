"""Folders that look like /proc and /sys of real machines, after what their owners published.

Only files that ``assistant.board`` reads are laid out. "Device trees" are those of the Linux
kernel's arch/arm64/boot/dts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What a machine says of itself, and what should be made of it."""

    profile: str
    cpuinfo: str
    """Of one processor; {n} is its number."""
    processors: int
    big_cores: tuple[int, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 0
    gpus: tuple[str, ...] = ()
    below: str = ""
    """What cpuinfo says after the processors."""

    def lay_out(self, root: Path) -> Path:
        """Write the files below ``root`` and return it."""
        numbers = range(self.processors)
        cpuinfo = "".join(self.cpuinfo.format(n=n) + "\n" for n in numbers) + self.below
        online = f"0-{self.processors - 1}\n"
        files = {"proc/cpuinfo": cpuinfo, "sys/devices/system/cpu/online": online, **self.files}
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root


def _arm(part: str, features: str, implementer: str = "0x41") -> str:
    return (
        f"processor\t: {{n}}\nFeatures\t: {features}\nCPU implementer\t: {implementer}\n"
        f"CPU architecture: 8\nCPU part\t: {part}\n"
    )


def _tree(model: str, *compatible: str) -> dict[str, str]:
    strings = "".join(f"{name}\0" for name in compatible)
    return {"proc/device-tree/model": f"{model}\0", "proc/device-tree/compatible": strings}


def _each_cpu(name: str, values: list[int] | list[str]) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu{n}/{name}": f"{value}\n" for n, value in enumerate(values)}


PI_4 = Machine(
    # cpuinfo: github.com/nicolargo/glances/issues/2616; device tree: broadcom/bcm2711-rpi-4-b.dts
    "raspberry-pi-4",
    _arm("0xd08", "fp asimd evtstrm crc32 cpuid"),
    4,
    (0, 1, 2, 3),
    _tree("Raspberry Pi 4 Model B Rev 1.5", "raspberrypi,4-model-b", "brcm,bcm2711"),
)

PI_5 = Machine(
    # cpuinfo: github.com/hrw/arm-socs-table/issues/96; device tree: broadcom/bcm2712-rpi-5-b.dts
    "raspberry-pi-5",
    _arm("0xd0b", "fp asimd evtstrm aes atomics fphp asimdhp cpuid asimddp"),
    4,
    (0, 1, 2, 3),
    _tree("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b", "brcm,bcm2712"),
)

JETSON_NANO = Machine(
    # cpuinfo: github.com/hrw/arm-socs-table/issues/91; MemTotal: github.com/goodrobots/maverick/issues/867;
    # device tree: nvidia/tegra210-p3450-0000.dts
    "jetson-nano",
    _arm("0xd07", "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"),
    4,
    (0, 1, 2, 3),
    {
        **_tree("NVIDIA Jetson Nano Developer Kit", "nvidia,p3450-0000", "nvidia,tegra210"),
        "proc/meminfo": "MemTotal:        4059504 kB\nMemFree:          100000 kB\n",
    },
    memory_mb=4156,
    gpus=("NVIDIA Tegra210",),
)

JETSON_ORIN_NANO = Machine(
    # device tree: github.com/adafruit/Adafruit_Python_PlatformDetect/pull/393; six Cortex-A78AE (0xd42)
    "jetson-orin-nano",
    _arm("0xd42", "fp asimd evtstrm aes atomics fphp asimdhp cpuid asimddp"),
    6,
    (0, 1, 2, 3, 4, 5),
    _tree(
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "nvidia,p3768-0000+p3767-0003-super",
        "nvidia,p3767-0003",
        "nvidia,tegra234",
    ),
    gpus=(
        "NVIDIA Tegra234",
    ),  # its cards have no device/vendor: github.com/microsoft/onnxruntime/issues/32541
)

APPLE_M1 = Machine(
    # cpuinfo: github.com/fastfetch-cli/fastfetch/issues/1529; device tree and clocks: apple/t8103.dtsi
    "apple-silicon",
    _arm("0x022", "fp asimd evtstrm aes asimddp", implementer="0x61"),
    8,
    (4, 5, 6, 7),
    {
        **_tree("Apple Mac mini (M1, 2020)", "apple,j274", "apple,t8103", "apple,arm-platform"),
        **_each_cpu("cpufreq/cpuinfo_max_freq", [2_064_000] * 4 + [3_204_000] * 4),
    },
)

ROCK_5B = Machine(
    # cpuinfo: github.com/hrw/arm-socs-table/issues/18; capacities: rockchip/rk3588-base.dtsi
    "generic-arm",
    _arm("0xd05", "fp asimd evtstrm aes asimddp"),
    8,
    (4, 5, 6, 7),
    {
        **_tree("Radxa ROCK 5B", "radxa,rock-5b", "rockchip,rk3588"),
        **_each_cpu("cpu_capacity", [530] * 4 + [1024] * 4),
    },
)

RYZEN_5600G = Machine(
    # name: github.com/luolangaga/tubatoolsPlugin/pull/369; family and counts of the same die:
    # github.com/fastfetch-cli/fastfetch/issues/1529. Clocks of a favoured core differ a little. Its graphics
    # are AMD's, 1002 at the PCI SIG: github.com/greshake/i3status-rust/pull/1935.
    "ryzen-5600g",
    "processor\t: {n}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 80\n"
    "model name\t: AMD Ryzen 5 5600G with Radeon Graphics\nsiblings\t: 12\ncpu cores\t: 6\n",
    12,
    (0, 1, 2, 3, 4, 5),
    {
        **_each_cpu("topology/thread_siblings_list", [f"{n % 6},{n % 6 + 6}" for n in range(12)]),
        **_each_cpu("cpufreq/cpuinfo_max_freq", [4_464_000, *[4_300_000] * 11]),
        "sys/class/drm/card0/device/vendor": "0x1002\n",
        "sys/class/drm/card0-HDMI-A-1/device/vendor": "0x1002\n",
        "sys/class/drm/renderD128/device/vendor": "0x1002\n",
    },
    gpus=("AMD",),
)

NUC_12 = Machine(
    # "Intel(R) Client Systems NUC12WSKi7/NUC12WSBi7" in kernel logs on the linux-media list. Its i7-1260P has
    # four performance cores with two threads each and eight efficiency cores. Intel's graphics have
    # vendor 8086: github.com/canonical/inference-snaps/issues/200.
    "intel-nuc",
    "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: 12th Gen Intel(R) Core(TM) i7-1260P\n",
    16,
    (0, 2, 4, 6),
    {
        "sys/class/dmi/id/sys_vendor": "Intel(R) Client Systems\n",
        "sys/class/dmi/id/product_name": "NUC12WSKi7\n",
        "sys/class/dmi/id/board_name": "NUC12WSBi7\n",
        "sys/devices/cpu_core/cpus": "0-7\n",
        "sys/devices/cpu_atom/cpus": "8-15\n",
        **_each_cpu(
            "topology/thread_siblings_list",
            [*(f"{n // 2 * 2}-{n // 2 * 2 + 1}" for n in range(8)), *map(str, range(8, 16))],
        ),
        "sys/class/drm/card1/device/vendor": "0x8086\n",
    },
    gpus=("Intel",),
)

VIRTUAL_PC = Machine(
    # A KVM guest: two threads of one core, no clocks to see, and QEMU's own screen (vendor 1234 in its
    # docs/specs/standard-vga).
    "generic-x86",
    "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor\n",
    2,
    (0,),
    {
        **_each_cpu("topology/thread_siblings_list", ["0-1", "0-1"]),
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n",
        "sys/class/drm/card0/device/vendor": "0x1234\n",
    },
)

MACHINES = (
    PI_4, PI_5, JETSON_NANO, JETSON_ORIN_NANO, APPLE_M1, ROCK_5B, RYZEN_5600G, NUC_12, VIRTUAL_PC
)  # fmt: skip

PI_4_IN_DOCKER = Machine(
    # /proc/device-tree leads nowhere in a container: github.com/balena-os/balena-raspberrypi/issues/378;
    # cpuinfo: github.com/fastfetch-cli/fastfetch/issues/1529
    "raspberry-pi-4",
    PI_4.cpuinfo,
    4,
    (0, 1, 2, 3),
    below="Revision\t: d03115\nSerial\t\t: 100000000fe69593\nModel\t\t: Raspberry Pi 4 Model B Rev 1.5\n",
)

PI_5_IN_DOCKER = Machine(
    # cpuinfo: github.com/hrw/arm-socs-table/issues/96
    "raspberry-pi-5",
    PI_5.cpuinfo,
    4,
    (0, 1, 2, 3),
    below="Hardware\t: BCM2835\nRevision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
)

PI_3_IN_DOCKER = Machine(
    # cpuinfo: github.com/hrw/arm-socs-table/issues/29
    "generic-arm",
    _arm("0xd03", "fp asimd evtstrm crc32 cpuid"),
    4,
    (0, 1, 2, 3),
    below="Hardware\t: BCM2835\nRevision\t: a020d3\nModel\t\t: Raspberry Pi 3 Model B Plus Rev 1.3\n",
)

SERVER_WITH_CARD = Machine(
    # What NVIDIA's driver says: landontclipp.github.io/sysadmin/gpu. Servers also have a card for their
    # screen (ASPEED, 1a03 at the PCI SIG).
    "generic-x86",
    VIRTUAL_PC.cpuinfo,
    2,
    (0, 1),
    {
        "proc/driver/nvidia/gpus/0000:62:00.0/information": (
            "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 10\nBus Type: \t PCIe\n"
        ),
        "sys/class/drm/card0/device/vendor": "0x1a03\n",
        "sys/class/drm/card1/device/vendor": "0x10de\n",
    },
    gpus=("NVIDIA H100 80GB HBM3",),
)

VARIANTS = (PI_4_IN_DOCKER, PI_5_IN_DOCKER, PI_3_IN_DOCKER, SERVER_WITH_CARD)
"""Whose profile another machine already stands for."""
