import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Program } from '../../engine/program.js'
import { reloadBy } from '../children.js'
import { untilAnswered } from '../until-answered.js'
import type { Scenario, Site } from '../service.js'
import { backend } from './backend.js'
import { versionOf } from './version.js'

/** https://docs.haproxy.org/2.6/configuration.html#option%20idle-close-on-response */
export const haproxy: Scenario = {
  name: 'HAProxy reload with `option idle-close-on-response`',
  version: async () => await versionOf('haproxy', ['-v'], /HAProxy version [\d.]+/),
  start: async site => {
    const { port, program } = await backend(site)
    const file = join(site.directory, 'haproxy.cfg')
    writeFileSync(join(site.directory, 'haproxy.pem'), ['cert', 'key'].map(name => readFileSync(join(site.directory, `${name}.pem`), 'utf8')).join('\n'))
    writeFileSync(file, configuration(site, port))
    const server = new Program(['-W', '-q', '-f', file], {}, { command: 'haproxy' })
    await untilAnswered(site.ports.http)
    return {
      pid: server.pid,
      act: async () => await reloadBy('SIGUSR2', server, 1),
      end: async () => {
        await server.end('SIGTERM')
        await program.end('SIGKILL')
      },
    }
  },
}

function configuration ({ ports, directory, keepAliveTimeout, workers }: Site, upstream: number): string {
  const certificate = `ssl crt ${directory}/haproxy.pem`
  return `
global
  nbthread ${workers}
  hard-stop-after 30s
  stats socket ${directory}/haproxy.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout http-keep-alive ${keepAliveTimeout}ms
  option idle-close-on-response
frontend site
  bind 127.0.0.1:${ports.http}
  bind 127.0.0.1:${ports.https} ${certificate} alpn http/1.1
  bind 127.0.0.1:${ports.h2} ${certificate} alpn h2
  default_backend app
backend app
  server app 127.0.0.1:${upstream}
`
}
