import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Scenario } from '../service.js'

const run = promisify(execFile)

let directory: string | undefined

process.on('exit', () => { if (directory !== undefined) rmSync(directory, { recursive: true, force: true }) })

/** https://pm2.keymetrics.io/docs/usage/cluster-mode/. From npm, into a temporary folder that is used once. */
export const pm2: Scenario = {
  name: 'PM2 reload',
  version: async () => {
    directory ??= mkdtempSync(join(tmpdir(), 'fastkeep-bench-pm2-'))
    const manifest = join(directory, 'node_modules/pm2/package.json')
    if (!existsSync(manifest)) await run('npm', ['install', '--prefix', directory, '--no-audit', '--no-fund', '--ignore-scripts', 'pm2@7'], { cwd: directory }).catch(() => {})
    if (!existsSync(manifest)) return undefined
    return `PM2 ${(JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version}`
  },
  start: async site => {
    const tool = join(directory as string, 'node_modules/.bin/pm2')
    const { NODE_OPTIONS: _options, ...environment } = process.env
    const env = {
      ...environment,
      PM2_HOME: join(site.directory, 'pm2'),
      KEEP_ALIVE_TIMEOUT: String(site.keepAliveTimeout),
      TLS_FILES: site.directory,
      PORTS: JSON.stringify(site.ports),
    }
    const pm2 = async (...args: string[]): Promise<void> => { await run(tool, args, { env }) }
    await pm2('start', fileURLToPath(new URL('../programs/plain-service.js', import.meta.url)), '-i', String(site.workers), '--wait-ready', '--listen-timeout', '20000', '--kill-timeout', '15000')
    return { act: async () => await pm2('reload', 'all'), end: async () => await pm2('kill') }
  },
}
