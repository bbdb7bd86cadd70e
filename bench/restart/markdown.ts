import { failedIn, type LoadReport } from '../load/client.js'
import { median } from '../engine/statistics.js'
import type { Outcome } from './run.js'

/** p99 during the acts against that of the quiet time, and ms that the longest request may take more. */
const P99_RATIO = 2
const LONGEST_MORE = 60

/** One row for each scenario: what was lost of what was asked, by load. */
export function lossTable (names: readonly string[], outcomes: readonly Outcome[], notRun: readonly string[]): string {
  const rows = outcomes.map(({ scenario, version, acts, wanted, loads }) => [
    `${scenario.name}, ${version}`,
    acts === wanted ? `${acts}` : `${acts} of ${wanted}`,
    ...names.map(name => {
      const load = loads[name]
      return load === undefined ? '-' : cell(load.run)
    }),
  ])
  const missing = notRun.map(name => [name, 'not run', ...names.map(() => '')])
  return markdown(['', 'times', ...names], [...rows, ...missing])
}

function cell (report: LoadReport): string {
  const failed = failedIn(report)
  const why = kindsOf(report)
  const retried = report.retried > 0 ? `; ${report.retried} retried` : ''
  return `${failed === 0 ? '0' : `**${failed}**`} / ${report.asked}${why.length > 0 ? ` (${why})` : ''}${retried}`
}

function kindsOf (report: LoadReport): string {
  return (['refused', 'reset', 'truncated', 'timeout', 'not2xx', 'corrupt'] as const)
    .filter(kind => report[kind] > 0).map(kind => `${report[kind]} ${kind}`).join(', ')
}

/** One row for each scenario: p50, p99 and longest in ms, quiet and during the acts, by load. */
export function timeTable (names: readonly string[], outcomes: readonly Outcome[]): string {
  const times = ({ p50, p99, longest }: LoadReport): string => `${p50} ${p99} ${longest}`
  return markdown(['p50 p99 longest, ms: quiet > run', ...names], outcomes.map(({ scenario, loads }) => [
    scenario.name,
    ...names.map(name => {
      const load = loads[name]
      return load === undefined ? '-' : `${times(load.quiet)} > ${times(load.run)}`
    }),
  ]))
}

/** What is owed of ours, and was not reached. Of a load that was never answered in the quiet time no times are held against it. */
export function misses (outcome: Outcome): string[] {
  const { scenario, acts, wanted, loads, missed } = outcome
  const late = Object.entries(loads).flatMap(([name, { quiet, run }]) => scenario.kills !== true && quiet.ok > 0 ? lateness(name, quiet, run) : [])
  return [...acts < wanted ? [`${acts} of ${wanted} were done in the time`] : [], ...missed, ...losses(outcome), ...late]
}

/** What was lost and must not have been. */
export function losses ({ scenario, loads }: Pick<Outcome, 'scenario' | 'loads'>): string[] {
  return Object.entries(loads).flatMap(([name, { quiet, run }]) => [
    ...failedIn(quiet) > 0 ? [`${name}: ${failedIn(quiet)} lost without any act`] : [],
    ...scenario.kills === true ? lostOtherwise(name, run) : lost(name, run),
  ])
}

function lost (name: string, run: LoadReport): string[] {
  return failedIn(run) > 0 ? [`${name}: ${failedIn(run)} of ${run.asked} lost (${kindsOf(run)})`] : []
}

/** A worker that is killed resets and truncates what it had in flight; nothing else may happen. */
function lostOtherwise (name: string, { refused, timeout, not2xx, corrupt }: LoadReport): string[] {
  const count = refused + timeout + not2xx + corrupt
  return count > 0 ? [`${name}: ${count} lost otherwise than in flight`] : []
}

function lateness (name: string, quiet: LoadReport, run: LoadReport): string[] {
  return [
    ...run.p99 > P99_RATIO * quiet.p99 ? [`${name}: p99 ${run.p99} ms, quiet ${quiet.p99} ms`] : [],
    ...run.longest > quiet.longest + LONGEST_MORE ? [`${name}: longest ${run.longest} ms, quiet ${quiet.longest} ms`] : [],
  ]
}

export function durationOf ({ durations }: Outcome): string {
  return durations.length === 0 ? 'no act' : `${Math.round(median(durations))} ms (median), ${Math.round(Math.max(...durations))} ms (longest)`
}

export function markdown (headings: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
