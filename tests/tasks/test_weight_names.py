"""Which networks a configuration needs."""

from mgi.profiles import load_config
from tasks.stages.plan import weight_names


def test_the_network_of_the_style_losses_counts_where_it_is_used() -> None:
    changes = {"oeft.style_backbone": "vgg19-imagenet"}
    assert "vgg19-imagenet" in weight_names(load_config("embedded", {**changes, "warp.method": "oeft"}))
    assert "vgg19-imagenet" not in weight_names(load_config("embedded", changes))
