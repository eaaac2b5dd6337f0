"""What is read from a command line, and written to metadata: without a chain."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from platformless.chain.model_registry import FileHash, ModelFile
from platformless.chain.money import NATIVE, Price
from platformless.chain.networks import BASE_SEPOLIA
from platformless.node.registration import asked, hardware
from platformless.node.registration.api_url import read_api_url, require_reachable
from platformless.node.registration.asked import (
    AskedModel,
    Details,
    default_price,
    price_per_million,
    price_text,
    read_models,
    read_prices,
)
from platformless.node.registration.errors import (
    ApiUrlRefused,
    PriceRefused,
)
from platformless.node.registration.hardware import Hardware, find_hardware, gpu_text
from platformless.node.registration.metadata import Machine, changed_metadata, new_metadata
from platformless.protocol.host_key import LocalKey

USDC = BASE_SEPOLIA.usdc
KEY = LocalKey(b"\x07" * 32)
FILE = ModelFile("owner/name", "file.gguf", FileHash(b"\x01" * 32))
MODEL = AskedModel(FILE.id, "owner/name/file.gguf")
MACHINE = Machine("1.2.3", Hardware("NVIDIA H200", 140, 128, "a processor"), KEY.public_key)


class TestPrices:
    def test_a_price_of_a_million_tokens_is_the_contracts_of_a_thousand(self) -> None:
        assert price_per_million(Decimal(10), USDC) == Price(10_000, USDC)
        assert price_per_million(Decimal("0.001"), USDC) == Price(1, USDC)
        assert price_per_million(Decimal(1), NATIVE) == Price(10**15, NATIVE)
        # A million tokens cost exactly that.
        assert price_per_million(Decimal("2.5"), USDC).cost(1_000_000).units == 2_500_000  # type: ignore[arg-type]

    def test_defaults_are_ten_dollars(self) -> None:
        assert default_price(USDC).per_thousand_tokens == 10_000
        assert price_text(default_price(USDC)) == "10 USDC"
        at_4400_dollars = asked.ETH_PER_MILLION * 4400
        assert round(at_4400_dollars, 6) == 10
        assert price_text(default_price(NATIVE)) == "0.002272727273 ETH"

    def test_one_price_for_all_and_others_for_some(self) -> None:
        prices = read_prices(["10", "owner/name/file.gguf=12.5"], USDC)
        assert prices.of(FILE.id) == Price(12_500, USDC)
        assert prices.of(replace(FILE, file_name="other").id) == Price(10_000, USDC)
        other = replace(USDC, address=BASE_SEPOLIA.fab.address)
        assert prices.on(other).of(FILE.id) == Price(12_500, other)

    @pytest.mark.parametrize("text", ["", "-1", "NaN", "Infinity", "1e99", "0.00001", "1,5"])
    def test_what_is_no_price_is_refused(self, text: str) -> None:
        with pytest.raises(PriceRefused):
            read_prices([text], USDC)


def test_a_model_named_twice_is_one() -> None:
    assert read_models(f"owner/name/file.gguf, {FILE.id},") == (MODEL,)


class TestApiUrl:
    def test_slashes_at_the_end_are_left_out(self) -> None:
        assert (
            read_api_url("https://node.example.com/base/").text == "https://node.example.com/base"
        )

    @pytest.mark.parametrize(
        "host",
        [
            *("localhost", "127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.9", "172.20.0.1"),
            *("169.254.1.1", "[fd00::1]", "100.64.0.1", "0.0.0.0", "node", "gpu.local"),  # noqa: S104
        ],
    )
    def test_a_private_address_is_refused_but_on_a_dev_chain(self, host: str) -> None:
        url = read_api_url(f"https://{host}:8080")
        with pytest.raises(ApiUrlRefused, match="on the internet"):
            require_reachable(url, is_dev_chain=False)
        [warning] = require_reachable(url, is_dev_chain=True)
        assert "this machine or network only" in warning

    def test_an_address_without_tls_is_told(self) -> None:
        [warning] = require_reachable(read_api_url("http://node.example.com"), is_dev_chain=False)
        assert "no TLS" in warning
        assert require_reachable(read_api_url("https://8.8.8.8"), is_dev_chain=False) == ()


class TestMetadata:
    def test_it_is_compact_json_with_the_key_without_prefix(self) -> None:
        text = new_metadata(MACHINE, Details("Nöde", "standard", None, 8))
        assert text.startswith('{"name":"Nöde","version":"1.2.3",')
        fields = json.loads(text)
        assert fields["publicKey"] == KEY.public_key.value.hex()
        assert fields["hardware"] == {
            "gpu": "NVIDIA H200",
            "vram": 140,
            "ram": 128,
            "cpu": "a processor",
        }
        assert fields["location"] == "unknown"

    def test_what_is_not_named_stays(self) -> None:
        before = new_metadata(MACHINE, Details("Node"))
        spaced = json.dumps(json.loads(before), indent=1)
        assert changed_metadata(spaced, KEY.public_key, Details(), None) == spaced
        changed = changed_metadata(before, KEY.public_key, Details(location="us"), None)
        assert json.loads(changed) == json.loads(before) | {"location": "us"}


class TestHardware:
    def test_what_is_found_here_is_whole(self) -> None:
        found = find_hardware()
        assert found.ram_gib > 0
        assert found.cpu.endswith(" threads")

    def test_without_the_libraries_the_rest_is_still_found(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = find_hardware()
        for name in ("pynvml", "psutil"):
            monkeypatch.setitem(sys.modules, name, None)
        bare = find_hardware()
        assert (bare.gpu, bare.vram_gib) == ("none", 0)
        assert (bare.ram_gib, bare.cpu) == (full.ram_gib, full.cpu)

    def test_gpus_of_a_kind_are_counted(self) -> None:
        assert gpu_text([]) == "none"
        assert gpu_text(["NVIDIA L4", "NVIDIA H200", "NVIDIA L4"]) == "2 x NVIDIA L4, NVIDIA H200"

    def test_gpus_are_asked_from_the_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in for NVIDIA's library: the machines that run these tests have no GPU."""
        shut = []

        def fails(error: type[Exception]) -> Callable[[], None]:
            def fail() -> None:
                raise error

            return fail

        library = SimpleNamespace(
            NVMLError=RuntimeError,
            nvmlInit=lambda: None,
            nvmlShutdown=lambda: shut.append(1),
            nvmlDeviceGetCount=lambda: 2,
            nvmlDeviceGetHandleByIndex=lambda at: at,
            nvmlDeviceGetName=lambda _: b"NVIDIA H200",
            nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=143_771 << 20),
        )
        monkeypatch.setitem(sys.modules, "pynvml", library)
        found = hardware.find_hardware()
        assert (found.gpu, found.vram_gib) == ("2 x NVIDIA H200", 281)
        assert shut == [1]
        library.nvmlInit = fails(RuntimeError)
        assert hardware.find_hardware().gpu == "none"
