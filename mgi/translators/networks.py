"""Which networks a configuration uses, whether they are here, and getting them all before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mgi import weights
from mgi.config import RunConfig
from mgi.translators.registry import method
from mgi.weights import WeightsError, WeightsMissing, zoo
from mgi.weights.learnt import learnt_folder


@dataclass(frozen=True)
class Network:
    """A network of a run.

    `name` is a zoo name or a file, `roles` say what it is for, `advice` what to do if `state` is not `here`.
    """

    name: str
    roles: tuple[str, ...]
    state: zoo.State
    advice: str = ""


def needs(config: RunConfig) -> dict[str, tuple[str, ...]]:
    """{network: roles} of everything that a run of this configuration loads, the generator first."""
    roles = method(config.method).networks(config)
    if config.align.mode != "never":
        roles.append(("alignment", "mtcnn-faces"))
    return {name: tuple(role for role, used in roles if used == name) for name in dict.fromkeys(n for _, n in roles)}


def inspect(config: RunConfig) -> list[Network]:
    """Every network with its state. Nothing is fetched; files are hashed, as they are before every use."""
    return [_inspect(name, roles) for name, roles in needs(config).items()]


def fetch_all(config: RunConfig) -> None:
    """Make sure that all networks are here, so that nothing is computed in vain.

    Networks that only the user can bring are looked for first; if one is missing, nothing is downloaded.

    Raises:
        WeightsMissing: it names all that are missing, and what to bring for each.
        WeightsError: one is damaged, and all that are missing are named as well.
    """
    absent = [network for network in inspect(config) if network.state != "here" and _of_zoo(network.name)]
    absent.sort(key=lambda network: not zoo.entry(network.name).source.startswith(zoo.PAGE))
    failed: dict[str, str] = {}
    for network in absent:
        if failed and not zoo.entry(network.name).source.startswith(zoo.PAGE):
            failed[network.name] = "not tried"
            continue
        try:
            weights.path(network.name)
        except WeightsMissing as error:
            failed[network.name] = error.reason or str(error)
        except WeightsError as error:
            if len(absent) == 1:
                raise
            failed[network.name] = str(error)
    if failed:
        raise WeightsMissing(_all_missing(failed))


def _all_missing(reasons: dict[str, str]) -> str:
    parts = []
    for name, reason in reasons.items():
        item = zoo.entry(name)
        parts.append(f"{name} ({reason}; {item.file} from {item.home})")
    count = f"{len(parts)} networks are" if len(parts) > 1 else "1 network is"
    return (
        f"{count} missing: {', '.join(parts)}; put the files into {zoo.folder()} or into the folder named by "
        f"MGI_WEIGHTS_MIRROR, then run `mgi weights fetch {' '.join(reasons)}`"
    )


def _inspect(name: str, roles: tuple[str, ...]) -> Network:
    if not _of_zoo(name):
        here = Path(name).expanduser().is_file()
        if not here and Path(name).parent == learnt_folder():
            return Network(name, roles, "missing", "learnt at the first use (warp.descriptor_samples)")
        return Network(name, roles, "here" if here else "missing", "" if here else "there is no such file")
    item = zoo.entry(name)
    state = zoo.state(item)
    if state == "here":
        return Network(name, roles, state, f"stand-in: {label}" if (label := weights.stand_in(name)) else "")
    if state == "corrupt":
        return Network(name, roles, state, f"damaged: `mgi weights fetch {name}` replaces it")
    if (remedy := zoo.absent(item)).startswith("pip"):
        return Network(name, roles, state, f"`{remedy}` brings the package that reads it")
    bring = f"bring {item.file} from {item.home} into {zoo.folder()}"
    if item.source.startswith(zoo.PAGE):
        return Network(name, roles, state, f"{bring}, then `mgi weights fetch {name}`")
    return Network(name, roles, state, f"`mgi weights fetch {name}` gets it; without a network, {bring} first")


def _of_zoo(name: str) -> bool:
    return name in {entry.name for entry in weights.entries()}
