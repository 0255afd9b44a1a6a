/*
 * rig.mjs - one private installation for a test of a real peer: its own home, its own scripted model, its own
 * daemon. close() stops what was started; the caller's process fails when a check does.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { once } from "node:events";

const env = (name) => {
	if (!process.env[name])
		throw new Error(`${name} is not set: run this through ctest`);
	return process.env[name];
};

export const AGENT = join(env("AGENT_TEST_BIN"), "agent");

export async function rig({ exchanges, config = "" }) {
	const top = mkdtempSync(join(tmpdir(), "agentd-peer-"));
	const home = join(top, "home");
	const work = join(top, "work");
	const log = join(top, "requests.jsonl");

	mkdirSync(home, { mode: 0o700 });
	mkdirSync(work);
	writeFileSync(log, "");
	writeFileSync(join(top, "script.json"), JSON.stringify(exchanges));

	const model = spawn(join(env("AGENT_TEST_FAKE"), "model"), [join(top, "script.json"), log], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	const [first] = await once(createInterface({ input: model.stdout }), "line");
	const port = Number(first);

	writeFileSync(
		join(home, "config.ini"),
		`model = "test-model"\nmodel_provider = "fake"\n${config}\n` +
			`[model_providers.fake]\nname = "fake"\nbase_url = "http://127.0.0.1:${port}/v1"\n` +
			`env_key = "FAKE_KEY"\n`,
	);
	chmodSync(join(home, "config.ini"), 0o600);

	const environment = { ...process.env, AGENTD_HOME: home, FAKE_KEY: "k", HOME: top };

	return {
		top,
		work,
		environment,
		requests: () =>
			readFileSync(log, "utf8")
				.split("\n")
				.filter(Boolean)
				.map((line) => JSON.parse(line)),
		close() {
			const stop = spawnSync(AGENT, ["daemon", "stop"], { env: environment, encoding: "utf8" });
			model.kill();
			check(stop.status === 0, `daemon stop ends with 0, not ${stop.status}: ${stop.stderr}`);
			rmSync(top, { recursive: true, force: true });
		},
	};
}

export function check(holds, sentence) {
	if (!holds) {
		console.error(`not so: ${sentence}`);
		process.exitCode = 1;
	}
}
