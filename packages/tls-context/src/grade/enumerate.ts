import { versions, type ProtocolName } from './client-hello.js'
import { groupByNumber, groups as allGroups, type Group } from './groups.js'
import type { Prober } from './probe.js'
import type { ServerHello } from './server-hello.js'
import { suiteByNumber, tls12Suites, tls13Suites, type Suite } from './suite.js'

export type Tls = Exclude<ProtocolName, 'SSLv2'>

/** What one protocol version accepts. */
export interface ProtocolScan {
  readonly suites: readonly Suite[]
  /** Who chooses the suite; `undefined` where there is no choice. */
  readonly hasServerPreference: boolean | undefined
  /** The first answer, to the most generous offer. */
  readonly hello: ServerHello
}

/** Servers that stumble over very long offers get shorter ones. */
const suitesAtOnce = 128
const everyGroup = allGroups.map(({ number }) => number)

/** All suites of a version, or `undefined` where the server does not speak it. */
export async function enumerateProtocol (prober: Prober, protocol: Tls): Promise<ProtocolScan | undefined> {
  const offered = (protocol === 'TLSv1.3' ? tls13Suites : tls12Suites).map(({ number }) => number)
  const chunks = Array.from({ length: Math.ceil(offered.length / suitesAtOnce) }, (_value, index) => offered.slice(index * suitesAtOnce, (index + 1) * suitesAtOnce))
  const answers = (await Promise.all(chunks.map(chunk => acceptedOf(prober, protocol, chunk)))).flat()
  const [first] = answers
  if (first === undefined) return undefined
  const accepted = answers.map(({ suite }) => suite)
  return { suites: accepted.map(suiteByNumber), hasServerPreference: await serverPreference(prober, protocol, accepted), hello: first }
}

/** What the server chooses, until it finds nothing more in what is left. */
async function acceptedOf (prober: Prober, protocol: Tls, suites: readonly number[]): Promise<ServerHello[]> {
  const answers: ServerHello[] = []
  for (let left = suites; left.length > 0;) {
    const answer = await prober.ask({ protocol, suites: left, groups: everyGroup, offersCompression: protocol !== 'TLSv1.3' && answers.length === 0 })
    if (answer.kind !== 'hello' || answer.version !== versions[protocol] || !left.includes(answer.suite)) break
    answers.push(answer)
    left = left.filter(suite => suite !== answer.suite)
  }
  return answers
}

async function serverPreference (prober: Prober, protocol: Tls, accepted: readonly number[]): Promise<boolean | undefined> {
  if (accepted.length < 2) return undefined
  const chosen = await Promise.all([accepted, accepted.toReversed()].map(async suites => await prober.ask({ protocol, suites, groups: everyGroup })))
  const [one, other] = chosen.map(answer => answer.kind === 'hello' ? answer.suite : undefined)
  return one === other
}

/** The groups that the server takes, over one version, with suites that need one. */
export async function enumerateGroups (prober: Prober, protocol: Tls, suites: readonly Suite[]): Promise<Group[]> {
  const ecdhe = suites.filter(({ keyExchange }) => keyExchange === 'ECDHE').map(({ number }) => number)
  if (ecdhe.length === 0 || protocol === 'SSLv3') return []
  const found: Group[] = []
  for (let left = everyGroup; left.length > 0;) {
    const answer = await prober.ask({ protocol, suites: ecdhe, groups: left }, true)
    const group = answer.kind === 'hello' ? answer.group : undefined
    if (group === undefined || !left.includes(group)) break
    found.push(groupByNumber(group))
    left = left.filter(number => number !== group)
  }
  return found
}

/** The answers, with certificate and key exchange, for each way in which the suites authenticate and exchange keys. */
export async function wholeAnswers (prober: Prober, protocol: Exclude<Tls, 'TLSv1.3'>, suites: readonly Suite[]): Promise<ServerHello[]> {
  const kinds = groupedBy(suites, ({ keyExchange, authentication }) => `${keyExchange} ${authentication}`)
  const answers = await Promise.all([...kinds.values()].map(async kind => await prober.ask({ protocol, suites: kind.map(({ number }) => number), groups: everyGroup }, true)))
  return answers.filter(answer => answer.kind === 'hello')
}

function groupedBy<Value> (values: readonly Value[], key: (value: Value) => string): Map<string, Value[]> {
  const grouped = new Map<string, Value[]>()
  for (const value of values) grouped.set(key(value), [...grouped.get(key(value)) ?? [], value])
  return grouped
}
