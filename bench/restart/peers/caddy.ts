import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Program } from '../../engine/program.js'
import { freePort } from '../../free-port.js'
import { untilAnswered } from '../until-answered.js'
import type { Scenario, Site } from '../service.js'
import { backend } from './backend.js'
import { versionOf } from './version.js'

/** https://caddyserver.com/docs/command-line#caddy-reload */
export const caddy: Scenario = {
  name: '`caddy reload`',
  version: async () => {
    const version = await versionOf('caddy', ['version'], /\d[\d.]+/)
    return version === undefined ? undefined : `Caddy ${version}`
  },
  start: async site => {
    const { port, program } = await backend(site)
    const admin = await freePort()
    const file = join(site.directory, 'Caddyfile')
    writeFileSync(file, configuration(site, port, admin))
    // What it keeps goes into the folder of the bench.
    const home = { HOME: site.directory, XDG_DATA_HOME: site.directory, XDG_CONFIG_HOME: site.directory }
    const server = new Program(['run', '--adapter', 'caddyfile', '--config', file], home, { command: 'caddy', isQuiet: true })
    await untilAnswered(site.ports.http)
    return {
      pid: server.pid,
      act: async () => {
        await promisify(execFile)('caddy', ['reload', '--force', '--adapter', 'caddyfile', '--config', file, '--address', `127.0.0.1:${admin}`], { env: { ...process.env, ...home } })
      },
      end: async () => {
        await server.end('SIGKILL')
        await program.end('SIGKILL')
      },
    }
  },
}

function configuration ({ ports, directory, keepAliveTimeout }: Site, upstream: number, admin: number): string {
  const proxy = `bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstream}`
  return `
{
  admin 127.0.0.1:${admin}
  auto_https off
  grace_period 30s
  log {
    level ERROR
  }
  servers {
    timeouts {
      idle ${keepAliveTimeout}ms
    }
  }
}
http://127.0.0.1:${ports.http}, http://localhost:${ports.http} {
  ${proxy}
}
https://localhost:${ports.https}, https://localhost:${ports.h2}, https://127.0.0.1:${ports.https}, https://127.0.0.1:${ports.h2} {
  tls ${directory}/cert.pem ${directory}/key.pem
  ${proxy}
}
`
}
