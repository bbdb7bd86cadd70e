import { finding, type Finding } from './certificates/finding.js'

/** The first release of each line with the TLS fixes of October 2026 (CVE-2026-106069, -106072, -105483). */
const floors: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  22: [23, 4],
  24: [22, 1],
  26: [12, 1],
}

/** The first release of each line that serves an SNI context whose key is of another kind than the default's (nodejs/node#54235). */
const sniKeyTypeFixed: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  24: [21, 0],
  26: [10, 0],
}

/**
 * What is known about this Node version's TLS: nothing, or that it lacks security fixes.
 *
 * @param version Default: that of this process.
 * @example runtimeAdvisories('v20.20.2')[0].code // 'RUNTIME_ADVISORY'
 */
export function runtimeAdvisories (version = process.version): Finding[] {
  const { major } = parse(version)
  const newest = Math.max(...Object.keys(floors).map(Number))
  if (major > newest || isAtLeast(version, floors)) return []
  const floor = floors[major]
  return [floor === undefined
    ? finding('RUNTIME_ADVISORY', `Node ${version} receives no security fixes any more: names of hosts are compared with faults that later versions have mended (CVE-2026-48618, CVE-2026-48928)`, 'run Node 24 or later')
    : finding('RUNTIME_ADVISORY', `Node ${version} lacks fixes of how names of hosts are checked (CVE-2026-106069 and others)`, `run Node ${major}.${floor.join('.')} or later`)]
}

/** Whether this Node serves a name's own certificate where its key is of another kind than the default one's. */
export function servesOtherKeyTypes (version = process.version): boolean {
  return parse(version).major > Math.max(...Object.keys(sniKeyTypeFixed).map(Number)) || isAtLeast(version, sniKeyTypeFixed)
}

function isAtLeast (version: string, table: typeof floors): boolean {
  const { major, minor, patch } = parse(version)
  const floor = table[major]
  return floor !== undefined && (minor > floor[0] || (minor === floor[0] && patch >= floor[1]))
}

function parse (version: string): { major: number, minor: number, patch: number } {
  const [major = 0, minor = 0, patch = 0] = version.replace(/^v/, '').split('.').map(part => Number.parseInt(part, 10))
  return { major, minor, patch }
}
