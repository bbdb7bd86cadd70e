import { fileURLToPath } from 'node:url'
import { Program } from '../../engine/program.js'
import { reloadBy } from '../children.js'
import { untilAnswered } from '../until-answered.js'
import type { Scenario } from '../service.js'
import { versionOf } from './version.js'

/** Threads of each worker: more than there are clients, so that none waits for another. */
const THREADS = 128

/** https://docs.gunicorn.org/en/stable/signals.html */
export const gunicorn: Scenario = {
  name: 'gunicorn HUP',
  without: ['TLS, resumed', 'TLS, keep-alive', 'HTTP/2', 'WebSockets'],
  version: async () => {
    const version = await versionOf('gunicorn', ['--version'], /[\d.]+/)
    return version === undefined ? undefined : `gunicorn ${version}, gthread`
  },
  start: async site => {
    const server = new Program([
      '--chdir', fileURLToPath(new URL('../programs', import.meta.url)), '--bind', `127.0.0.1:${site.ports.http}`, '--workers', String(site.workers),
      '--worker-class', 'gthread', '--threads', String(THREADS), '--keep-alive', String(site.keepAliveTimeout / 1000), '--graceful-timeout', '30',
      '--log-level', 'critical', 'gunicorn_app:application',
    ], { PYTHONDONTWRITEBYTECODE: '1' }, { command: 'gunicorn' })
    await untilAnswered(site.ports.http)
    return {
      pid: server.pid,
      act: async () => await reloadBy('SIGHUP', server, site.workers),
      end: async () => { await server.end('SIGINT') },
    }
  },
}
