"""Log in to the testbed and use it: what `seed` and `project` share."""
import os
import sys
import threading
import time

from keystoneauth1 import adapter
from keystoneauth1 import loading
from keystoneauth1 import session

STATE = os.environ.get(
    'STATE', os.environ.get('TESTBED_DIR', '/tmp') + '/openstack-testbed')
AUTH = 'http://127.0.0.1:5000/v3'
ADMIN_PASSWORD = 'testbed-admin'
PASSWORD = 'testbed-user'
MICROVERSION = '2.90'
MIB = 1024 ** 2
started = time.monotonic()


def say(text):
    print(f'[{time.monotonic() - started:6.1f}s] {text}', file=sys.stderr,
          flush=True)


class Cloud:
    """One scoped login, with the few verbs that are needed."""

    def __init__(self, project='admin', domain='Default', user='admin',
                 user_domain='Default', password=ADMIN_PASSWORD):
        auth = loading.get_plugin_loader('password').load_from_options(
            auth_url=AUTH, username=user, password=password,
            project_name=project, project_domain_name=domain,
            user_domain_name=user_domain)
        self.ses = session.Session(auth=auth)
        self.lock, self.states, self.states_at = threading.Lock(), {}, 0
        self.project_id = self.ses.get_project_id()
        kw = dict(session=self.ses, region_name='RegionOne')
        self.nova = adapter.Adapter(service_type='compute',
                                    default_microversion=MICROVERSION, **kw)
        self.cinder = adapter.Adapter(service_type='volumev3',
                                      default_microversion='3.70', **kw)
        self.glance = adapter.Adapter(service_type='image', **kw)
        self.neutron = adapter.Adapter(service_type='network', **kw)
        self.keystone = adapter.Adapter(service_type='identity',
                                        endpoint_override=AUTH, **kw)

    def action(self, server, name, args=None, **kw):
        return self.nova.post(f'/servers/{server}/action', json={name: args},
                              **kw)

    def volume_action(self, volume, name, args):
        return self.cinder.post(f'/volumes/{volume}/action',
                                json={name: args})

    def wait(self, what, get, good, bad=('error', 'ERROR'), limit=600):
        end, pause = time.monotonic() + limit, 0.3
        while True:
            status = get()
            if status in good:
                return status
            if status in bad:
                sys.exit(f'{what} went to {status}')
            if time.monotonic() > end:
                sys.exit(f'{what} is still {status} after {limit}s')
            time.sleep(pause)
            pause = min(pause * 1.3, 2.0)

    def volume_status(self, vid):
        return self.cinder.get(f'/volumes/{vid}').json()['volume']['status']

    def wait_volume(self, vid, *good):
        self.wait(f'volume {vid}', lambda: self.volume_status(vid), good)

    def server_states(self, since):
        """State of every server of the project, no older than SINCE. Nova
        asks Neutron twice for each single server that is shown, so one list
        for all who wait is far cheaper."""
        with self.lock:
            if self.states_at < since:
                time.sleep(max(0, self.states_at + 2.5 - time.monotonic()))
                self.states_at = time.monotonic()
                self.states = {
                    s['id']: (s['status'], s['OS-EXT-STS:task_state'])
                    for s in self.nova.get('/servers/detail').json()['servers']}
            return self.states

    def wait_server(self, sid, *good, bad=('ERROR',)):
        def get():
            status, busy = self.server_states(time.monotonic()).get(
                sid, ('BUILD', None))
            return f'{status}/{busy}' if busy else status
        self.wait(f'server {sid}', get, good, bad)


def make_volume(cloud, name, size, wait=True, **body):
    vol = cloud.cinder.post('/volumes', json={'volume': {
        'name': name, 'size': size, **body}}).json()['volume']
    if wait:
        cloud.wait_volume(vol['id'], 'available')
    return vol['id']
