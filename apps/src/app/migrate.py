"""Brings the schema of the database to what this version needs: python -m app.migrate."""

import logging
import pathlib

from alembic import command
from alembic.config import Config

from app import logs, settings


def main() -> None:
    logs.configure()
    config = Config()
    config.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations"))
    config.attributes["url"] = settings.load().database_url
    command.upgrade(config, "head")
    logging.getLogger("app.migrate").info("the schema is up to date")


if __name__ == "__main__":
    main()
