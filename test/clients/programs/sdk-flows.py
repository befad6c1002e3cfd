"""What programs do with openstacksdk: each flow below is told as one JSON event (see run-tempest.py).

The environment says where to log in, as for every OpenStack client (OS_AUTH_URL, OS_USERNAME, ...); BOSS_USERNAME names
an administrator with the same password and project. SDK_CLOUD names an entry of clouds.yaml to use instead.
"""
import base64
import json
import os
import sys
import traceback
import uuid

import openstack
from openstack import exceptions

EVENTS = sys.stdout
sys.stdout = sys.stderr
FLOWS = []
WAIT_S = 60


def flow(name):
    def add(function):
        FLOWS.append((name, function))
        return function

    return add


def tell(event, name, detail=""):
    EVENTS.write(json.dumps({"event": event, "id": name, "detail": detail}) + "\n")
    EVENTS.flush()


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def refused(status, function, *args, **kwargs):
    try:
        found = function(*args, **kwargs)
        if hasattr(found, "__next__"):
            found = list(found)
    except exceptions.HttpException as error:
        assert error.status_code == status, f"{error.status_code}: {error}"
        return error
    raise AssertionError(f"it was answered: {found!r}")


def make_volume(cloud, name, **fields):
    volume = cloud.block_storage.create_volume(size=1, name=name, **fields)
    return cloud.block_storage.wait_for_status(volume, "available", ["error"], interval=0.1, wait=WAIT_S)


def back_up(cloud, volume, name, **fields):
    backup = cloud.block_storage.create_backup(volume_id=volume.id, name=name, **fields)
    return cloud.block_storage.wait_for_status(backup, "available", ["error"], interval=0.1, wait=WAIT_S)


def restore_to(cloud, backup_id, name):
    """A new volume of that name; this version of the library does not say its id."""
    cloud.block_storage.restore_backup(backup_id, name=name)
    restored = cloud.block_storage.find_volume(name, ignore_missing=False)
    return cloud.block_storage.wait_for_status(restored, "available", ["error"], interval=0.1, wait=WAIT_S)


def drop(cloud, kind, found):
    getattr(cloud.block_storage, f"delete_{kind}")(found)
    cloud.block_storage.wait_for_delete(found, interval=0.1, wait=WAIT_S)


@flow("the highest microversion that both know is found, and both names of the service are one")
def versions(cloud, boss):
    endpoint = cloud.block_storage.get_endpoint_data()
    assert endpoint.min_microversion == (3, 0), endpoint.min_microversion
    assert endpoint.max_microversion >= (3, 64), endpoint.max_microversion
    same(cloud.session.get_endpoint(service_type="volumev3"), cloud.session.get_endpoint(service_type="block-storage"))


@flow("a wrong password is refused with 401")
def wrong_password(cloud, boss):
    try:
        openstack.connect(password="wrong").authorize()
    except exceptions.SDKException as error:
        assert "HTTP 401" in str(error), str(error)
        return
    raise AssertionError("the login succeeded")


@flow("volumes: create, find by name, list by page, metadata, extend, delete")
def volumes(cloud, boss):
    made = [make_volume(cloud, f"sdk-{index}", metadata={"n": str(index)}) for index in range(3)]
    same(cloud.block_storage.find_volume("sdk-1").id, made[1].id)
    same(cloud.block_storage.find_volume("no such volume"), None)
    same({volume.id for volume in cloud.block_storage.volumes(limit=1)} >= {volume.id for volume in made}, True)
    same([volume.id for volume in cloud.block_storage.volumes(name="sdk-2")], [made[2].id])
    cloud.block_storage.set_volume_metadata(made[0], colour="red")
    changed = cloud.block_storage.get_volume(made[0].id)
    same(changed.metadata, {"n": "0", "colour": "red"})
    cloud.block_storage.delete_volume_metadata(changed, ["n"])
    same(cloud.block_storage.get_volume_metadata(made[0]).metadata, {"colour": "red"})
    cloud.block_storage.extend_volume(made[0], 2)
    # Asked anew: what waits looks at the status that it knows first.
    extended = cloud.block_storage.get_volume(made[0].id)
    extended = cloud.block_storage.wait_for_status(extended, "available", ["error"], interval=0.1, wait=WAIT_S)
    same(extended.size, 2)
    cloud.block_storage.set_volume_bootable_status(made[0], True)
    same(cloud.block_storage.get_volume(made[0].id).is_bootable, True)
    refused(400, cloud.block_storage.extend_volume, made[0], 1)
    for volume in made:
        drop(cloud, "volume", volume)


@flow("backups: create and wait, increments, find by name, list with paging and filters, delete")
def backups(cloud, boss):
    volume = make_volume(cloud, "sdk-disk")
    base = back_up(cloud, volume, "sdk-base", description="full")
    increment = back_up(cloud, volume, "sdk-increment", is_incremental=True)
    same(increment.is_incremental, True)
    same(cloud.block_storage.get_backup(base.id).has_dependent_backups, True)
    same(cloud.block_storage.find_backup("sdk-base").id, base.id)
    paged = [backup.id for backup in cloud.block_storage.backups(limit=1, sort_key="created_at", sort_dir="asc")]
    same(paged[-2:], [base.id, increment.id])
    same([backup.id for backup in cloud.block_storage.backups(name="sdk-increment")], [increment.id])
    same(list(cloud.block_storage.backups(status="error")), [])
    drop(cloud, "backup", increment)
    drop(cloud, "backup", base)
    drop(cloud, "volume", volume)


@flow("the cloud layer: create_volume_backup and delete_volume_backup wait for the end")
def cloud_layer(cloud, boss):
    volume = cloud.create_volume(1, name="sdk-cloud", wait=True, timeout=WAIT_S)
    backup = cloud.create_volume_backup(volume.id, name="sdk-cloud-backup", wait=True, timeout=WAIT_S)
    same(cloud.get_volume_backup("sdk-cloud-backup").id, backup.id)
    same(cloud.delete_volume_backup(backup.id, wait=True, timeout=WAIT_S), True)
    snapshot = cloud.create_volume_snapshot(volume.id, name="sdk-cloud-snapshot", wait=True, timeout=WAIT_S)
    same(cloud.delete_volume_snapshot(snapshot.id, wait=True, timeout=WAIT_S), True)
    same(cloud.delete_volume(volume.id, wait=True, timeout=WAIT_S), True)


@flow("restore to a new volume, with the metadata of the old one, and to an existing volume")
def restore(cloud, boss):
    volume = make_volume(cloud, "sdk-source", metadata={"shelf": "3"})
    backup = back_up(cloud, volume, "sdk-for-restore")
    restored = restore_to(cloud, backup.id, "sdk-restored")
    same((restored.name, restored.metadata), ("sdk-restored", {"shelf": "3"}))
    backup = cloud.block_storage.wait_for_status(backup, "available", ["error"], interval=0.1, wait=WAIT_S)
    cloud.block_storage.restore_backup(backup.id, volume_id=restored.id)
    cloud.block_storage.wait_for_status(backup, "available", ["error"], interval=0.1, wait=WAIT_S)
    cloud.block_storage.wait_for_status(restored, "available", ["error"], interval=0.1, wait=WAIT_S)
    made = cloud.block_storage.create_volume(size=1, name="sdk-from-backup", backup_id=backup.id)
    cloud.block_storage.wait_for_status(made, "available", ["error"], interval=0.1, wait=WAIT_S)
    for found in (volume, restored, made):
        drop(cloud, "volume", found)
    drop(cloud, "backup", backup)


@flow("snapshots: create, update, metadata, list, volume and backup from one, delete")
def snapshots(cloud, boss):
    volume = make_volume(cloud, "sdk-filmed")
    snapshot = cloud.block_storage.create_snapshot(volume_id=volume.id, name="sdk-scene", metadata={"take": "1"})
    snapshot = cloud.block_storage.wait_for_status(snapshot, "available", ["error"], interval=0.1, wait=WAIT_S)
    same(cloud.block_storage.find_snapshot("sdk-scene").id, snapshot.id)
    cloud.block_storage.update_snapshot(snapshot, description="final")
    cloud.block_storage.set_snapshot_metadata(snapshot, reel="2")
    same(cloud.block_storage.get_snapshot(snapshot.id).metadata, {"take": "1", "reel": "2"})
    same([found.id for found in cloud.block_storage.snapshots(name="sdk-scene")], [snapshot.id])
    made = make_volume(cloud, "sdk-remake", snapshot_id=snapshot.id)
    backup = back_up(cloud, volume, "sdk-of-scene", snapshot_id=snapshot.id)
    same(backup.snapshot_id, snapshot.id)
    cloud.block_storage.wait_for_status(snapshot, "available", ["error"], interval=0.1, wait=WAIT_S)
    refused(400, cloud.block_storage.delete_volume, volume)
    drop(cloud, "snapshot", snapshot)
    for found in (made, volume):
        drop(cloud, "volume", found)
    drop(cloud, "backup", backup)


@flow("a record is exported and imported by an administrator, and restored from")
def records(cloud, boss):
    volume = make_volume(cloud, "sdk-recorded")
    backup = back_up(cloud, volume, "sdk-exported")
    refused(403, lambda: openstack.exceptions.raise_from_response(
        cloud.block_storage.get(f"/backups/{backup.id}/export_record")))
    answer = boss.block_storage.get(f"/backups/{backup.id}/export_record")
    exceptions.raise_from_response(answer)
    record = answer.json()["backup-record"]
    fields = json.loads(base64.b64decode(record["backup_url"]))
    fields["id"] = str(uuid.uuid4())
    record["backup_url"] = base64.b64encode(json.dumps(fields).encode()).decode()
    answer = boss.block_storage.post("/backups/import_record", json={"backup-record": record})
    same(answer.status_code, 201)
    imported = boss.block_storage.get_backup(answer.json()["backup"]["id"])
    same(imported.id, fields["id"])
    boss.block_storage.wait_for_status(imported, "available", ["error"], interval=0.1, wait=WAIT_S)
    drop(cloud, "backup", backup)
    restored = restore_to(cloud, imported.id, "sdk-of-the-import")
    cloud.block_storage.wait_for_status(imported, "available", ["error"], interval=0.1, wait=WAIT_S)
    drop(boss, "backup", imported)
    for found in (volume, restored):
        drop(cloud, "volume", found)


@flow("states are reset by administrators only")
def states(cloud, boss):
    volume = make_volume(cloud, "sdk-state")
    backup = back_up(cloud, volume, "sdk-state-backup")
    refused(403, cloud.block_storage.reset_backup, backup, "error")
    boss.block_storage.reset_backup(backup, "error")
    same(cloud.block_storage.get_backup(backup.id).status, "error")
    refused(403, cloud.block_storage.reset_volume_status, volume, "error", "detached", "none")
    boss.block_storage.reset_volume_status(volume, "error", "detached", "none")
    same(cloud.block_storage.get_volume(volume.id).status, "error")
    drop(cloud, "backup", backup)
    drop(cloud, "volume", volume)


@flow("types, limits, zones, extensions, filters and pools are read")
def small_reads(cloud, boss):
    assert any(found.name for found in cloud.block_storage.types())
    assert cloud.block_storage.get_limits().absolute.max_total_backups is not None
    assert any(zone.name for zone in cloud.block_storage.availability_zones())
    assert any(extension.alias == "backups" for extension in cloud.block_storage.extensions())
    assert any(found.resource == "backup" for found in cloud.block_storage.resource_filters())
    assert any(pool.name for pool in boss.block_storage.backend_pools())
    refused(403, cloud.block_storage.backend_pools)


@flow("types: create, specs, update, delete by an administrator")
def types(cloud, boss):
    made = boss.block_storage.create_type(name="sdk-cold", description="slow")
    boss.block_storage.update_type_extra_specs(made, spinning="yes")
    boss.block_storage.update_type(made, name="sdk-colder")
    same(cloud.block_storage.find_type("sdk-colder").id, made.id)
    boss.block_storage.delete_type_extra_specs(made, ["spinning"])
    refused(403, cloud.block_storage.delete_type, made, ignore_missing=False)
    boss.block_storage.delete_type(made)


@flow("quotas: show, usage, set, enforced with 413, reset")
def quotas(cloud, boss):
    project_id = cloud.current_project_id
    quotas_of = boss.block_storage.get_quota_set(project_id)
    before = quotas_of.volumes
    usage = boss.block_storage.get_quota_set(project_id, usage=True)
    used = usage.usage["volumes"]
    boss.block_storage.update_quota_set(quotas_of, volumes=used)
    refused(413, cloud.block_storage.create_volume, size=1, name="too many")
    boss.block_storage.revert_quota_set(project_id)
    same(boss.block_storage.get_quota_set(project_id).volumes, before)


@flow("users, projects and roles are managed through the identity client")
def identity(cloud, boss):
    project = boss.identity.create_project(name="sdk-project", domain_id="default")
    user = boss.identity.create_user(name="sdk-user", password="a password of the sdk", domain_id="default")
    role = boss.identity.find_role("member")
    boss.identity.assign_project_role_to_user(project, user, role)
    other = openstack.connect(username="sdk-user", password="a password of the sdk", project_name="sdk-project")
    same(list(other.block_storage.volumes()), [])
    boss.identity.unassign_project_role_from_user(project, user, role)
    boss.identity.delete_user(user)
    boss.identity.delete_project(project)
    same(boss.identity.find_project("sdk-project"), None)
    refused(403, cloud.identity.create_project, name="mine", domain_id="default")


@flow("nothing of another project is found")
def foreign(cloud, boss):
    refused(404, cloud.block_storage.get_volume, str(uuid.uuid4()))
    refused(404, cloud.block_storage.get_backup, str(uuid.uuid4()))
    same(cloud.block_storage.delete_backup(str(uuid.uuid4()), ignore_missing=True), None)


def main():
    cloud = openstack.connect(cloud=os.environ.get("SDK_CLOUD", "envvars"))
    boss = openstack.connect(cloud="envvars", username=os.environ["BOSS_USERNAME"])
    for name, function in FLOWS:
        try:
            function(cloud, boss)
            tell("passed", name)
        except Exception:
            tell("failed", name, traceback.format_exc())
    tell("end", "")


main()
