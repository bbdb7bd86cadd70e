import { readFileSync } from 'node:fs'
import { daemonState } from '../plugins/daemon-channel.js'
import { predecessor } from './predecessor.js'

/** Programs that are made to be process 1 of a container. They end, and it with them, when the process ends that they have started. */
const CONTAINER_INITS = new Set(['tini', 'tini-static', 'docker-init', 'podman-init', 'catatonit', 'dumb-init'])

/** Why the container that this process runs in would end with it; `undefined` where it would not. */
export function containerEnd (): string | undefined {
  if (process.pid === 1) return 'process 1 of a container cannot leave its place to another one; replace the container'
  const wasAdopted = daemonState.channel !== undefined || predecessor !== undefined
  if (process.ppid !== 1 || wasAdopted) return undefined
  const init = nameOf(1)
  return CONTAINER_INITS.has(init) ? `${init} ends the container with this process; replace the container` : undefined
}

/** `''` where the system does not tell. */
function nameOf (pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
