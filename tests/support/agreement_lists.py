"""Random questions for the neighbours of 5.3 and 5.4, and what the naive referee says that they list (CONTRACT part 6)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from support.agreement import SLOT_S, added, wall
from support.agreement_asking import DAY_S, REFUSED, Draw, Question
from support.agreement_world import ASSETS, ENDPOINTS, stamp

if TYPE_CHECKING:
    from support.agreement import Series, Sums


def told(at_s: int) -> str:
    """An instant as the lists write it."""
    return wall(at_s, "UTC").isoformat().replace("+00:00", "Z")


class Lists(Draw):
    """Asks the team, apps, consumers, endpoints and assets."""

    def team(self) -> Question:
        organization = self.rng.choice(self.company.document["organizations"])
        key = self.rng.choice([None, organization["id"]])
        headers = {} if key else {"Weighbridge-Organization": self.rng.choice([organization["id"], organization["slug"]])}
        return Question("/v1/team", {}, 200, {"name": organization["name"]}, key, headers, is_numbered=True)

    def apps(self) -> Question:
        key = self.key()
        query = {"limit": self.rng.choice(["1", "2", "1000"])}
        listed = [self._app(app) for owner, app in self.company.of("apps") if key in (None, owner["id"])]
        return Question("/v1/apps", query, 200, sorted(listed, key=lambda app: app["id"]), key)

    def _app(self, app: dict[str, Any]) -> dict[str, Any]:
        known = self._named("environment", app["id"])
        return {
            "id": app["id"], "name": app["name"], "framework": "unknown", "client_id": "",
            "envs": [{"id": number, "name": name, "created_at": told(self.now_s), "last_sync_at": self._synced(app, name)}
                     for number, name in known],
            "created_at": told(self.now_s),
        }

    def _named(self, kind: str, app: int) -> list[tuple[int, str]]:
        """(id, name) of the app's environments or consumers, by id."""
        return sorted((number, name) for (owner, name), number in self.referee.names[kind].items() if owner == app)

    def _synced(self, app: dict[str, Any], environment: str) -> str | None:
        slots = [at_s for _, at_s, _ in self._rows(app, 2, environment)]
        return told(max(slots)) if slots else None

    def _rows(self, app: dict[str, Any], place: int, name: str) -> list[tuple[Series, int, Sums]]:
        """What was told of an app, up to the slot that it is, where that place of the series says the name."""
        return [(series, at_s, sums) for series, rows in self.referee.rows.items() for at_s, sums in rows.items()
                if series[:2] == ("app", app["id"]) and series[place] == name and at_s <= self.now_s]

    def consumers(self) -> Question:
        organization, app = self.rng.choice(self.company.of("apps"))
        key = self.key()
        query = {"limit": self.rng.choice(["1", "2", "1000"])}
        since_s = None
        if self.rng.random() < 0.6:
            since_us, _ = self.range_us()
            query["requests_since"] = stamp(since_us, self.rng)
            since_s = since_us // 1_000_000 // SLOT_S * SLOT_S
        path = f"/v1/apps/{app['id']}/consumers"
        if key not in (None, organization["id"]):
            return Question(path, query, 404, REFUSED, key)
        listed = []
        for number, name in reversed(self._named("consumer", app["id"])):
            moved = [at_s for series, at_s, sums in self._rows(app, 3, name)
                     if any(sums) and not self.referee.is_excluded(series)]
            last_s = max(moved, default=self.now_s)  # all are made now
            if since_s is None or last_s >= since_s:
                listed.append({
                    "id": number, "identifier": name, "name": "Alice" if name == "alice" else name, "group": None,
                    "created_at": told(self.now_s), "last_request_at": told(last_s),
                })
        return Question(path, query, 200, listed, key)

    def endpoints(self) -> Question:
        rng = self.rng
        organization, app = rng.choice(self.company.of("apps"))
        key = self.key()
        query = {"limit": rng.choice(["1", "2", "10000"])}
        environment = rng.choice([None, *self._named("environment", app["id"]), (999_999, "?")])
        method, pattern = rng.choice([None, "GET", "post,get"]), rng.choice([None, "/orders*", "*z", "/*/*"])
        asked = {"app_env_id": environment and str(environment[0]), "method": method, "path": pattern}
        query |= {name: value for name, value in asked.items() if value is not None}
        path = f"/v1/apps/{app['id']}/endpoints"
        if key not in (None, organization["id"]):
            return Question(path, query, 404, REFUSED, key)
        met = {series[4:] for series in self.referee.rows if series[:2] == ("app", app["id"]) and series[4] is not None
               and (environment is None or series[2] == environment[1])}
        wanted = {None: ENDPOINTS, "/orders*": ENDPOINTS[1:], "*z": ENDPOINTS[:1], "/*/*": ENDPOINTS[2:]}[pattern]
        listed = [{"method": verb, "path": route} for verb, route in wanted
                  if (verb, route) in met and (method is None or verb.lower() in method.lower())]
        listed.sort(key=lambda row: (row["path"], row["method"]))
        return Question(path, query, 200, listed, key, is_numbered=True)

    def assets(self) -> Question:
        organization = self.rng.choice(self.company.document["organizations"])
        key = self.rng.choice([None, organization["id"]])
        first = wall(self.company.start_s, "UTC").date() + timedelta(days=self.rng.randint(-40, 5))
        last = first + timedelta(days=self.rng.choice([0, 1, 10, 80]))
        headers = {} if key else {"Weighbridge-Organization": organization["id"]}
        path = "/v1/orgs/me/statistics/" + self.rng.choice(["assets_traffic", ":assets_traffic"])
        query = {"start_date": first.isoformat(), "end_date": last.isoformat()}
        start_s, end_s = ((day - date(1970, 1, 1)).days * DAY_S for day in (first, last + timedelta(days=1)))
        body = {"assets": self._assets(organization["id"], start_s, end_s)}
        return Question(path, query, 200, body, key, headers, is_numbered=True)

    def _assets(self, organization: str, start_s: int, end_s: int) -> list[dict[str, Any]]:
        found: dict[Series, list[Sums]] = {}
        for series, _, _, sums in self.referee.cells(start_s, end_s, _kind="space", organization=organization):
            if series[2] is not None:
                found.setdefault(series, []).append(sums)
        listed = []
        for (_, space, path), rows in found.items():
            total = added(rows)
            known = [amount for amount in total[:2] if amount is not None]
            if any(total):
                listed.append({
                    "alt": "", "asset_folder_id": None, "content_length": None, "content_type": dict(ASSETS)[str(path)],
                    "deleted_at": None, "filename": path, "is_private": False, "space_id": space,
                    "total_bytes": sum(known) if known else None,
                })
        return sorted(listed, key=lambda row: (-(row["total_bytes"] or 0), row["space_id"], row["filename"]))
