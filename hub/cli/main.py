"""The command `anxin`."""

import typer

from hub.cli import centre, dashboards, demo, discover, edge, evidence, profile, register, rules, simulate

app = typer.Typer(
    name="anxin",
    help="安心 · Anxin Hub: 运行中心、网关和演示 run the centre, an edge, the demo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(centre.serve)
app.command("edge")(edge.edge)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("discover")(discover.discover)
app.command("migrate")(centre.migrate)
app.add_typer(centre.token_app, name="token")
app.add_typer(rules.app, name="rules")
app.add_typer(register.app, name="register")
app.add_typer(evidence.app, name="evidence")
app.add_typer(profile.app, name="profile")
app.add_typer(dashboards.dashboards_app, name="dashboards")


def main() -> None:
    """Entry point."""
    app()
