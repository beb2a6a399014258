BEGIN TRANSACTION;
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	tenant TEXT NOT NULL, 
	run_key TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	prev VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "audit" VALUES(1,'2024-05-01T00:00:00.000000+00:00','acme','r1','run.claimed','r1','{"after":null,"epoch":1,"kind":"chain","owner":"worker-7.example.net:4711:1000"}','0000000000000000000000000000000000000000000000000000000000000000','798d51576c25e6f4ec635fad8e3da666ebfdaa09118e4d5eadb5bb2cad8a7568');
INSERT INTO "audit" VALUES(2,'2024-05-01T00:01:00.000000+00:00','acme','r1','effect.intended','notify','{"attempt":1,"body_hash":"abababababababababababababababababababababababababababababababab","epoch":1,"from":"ready","logical_id":"r1/notify","operation":"cxone.dataactions.execute","to":"sent"}','798d51576c25e6f4ec635fad8e3da666ebfdaa09118e4d5eadb5bb2cad8a7568','92033e0f495f974f83ccc4b00f12e1e0020b04989527180d5c235c7eac17fba6');
INSERT INTO "audit" VALUES(3,'2024-05-01T00:02:00.000000+00:00','acme','r1','effect.concluded','notify','{"attempts":1,"body_hash":"abababababababababababababababababababababababababababababababab","epoch":1,"evidence":{"by":"vendor"},"from":"sent","logical_id":"r1/notify","operation":"cxone.dataactions.execute","result_sha256":null,"to":"failed"}','92033e0f495f974f83ccc4b00f12e1e0020b04989527180d5c235c7eac17fba6','9db079e16d835ee00b962a4130c5883d32705aca020a2e129e0484d059fa7951');
INSERT INTO "audit" VALUES(4,'2024-05-01T00:03:00.000000+00:00','acme','r1','run.claimed','r1','{"after":"held","epoch":2,"kind":"chain","owner":"worker-7.example.net:4711:1000"}','9db079e16d835ee00b962a4130c5883d32705aca020a2e129e0484d059fa7951','5d147c4ab12d9aaefa397e2d499a6b8ebe8688cd3589290628642079c7cc155a');
INSERT INTO "audit" VALUES(5,'2024-05-01T00:04:00.000000+00:00','acme','r1','effect.intended','notify','{"attempt":1,"body_hash":"abababababababababababababababababababababababababababababababab","epoch":2,"from":"failed","logical_id":"r1/notify","operation":"cxone.dataactions.execute","to":"sent"}','5d147c4ab12d9aaefa397e2d499a6b8ebe8688cd3589290628642079c7cc155a','64811932a4662924a1a81d2fa2c5b532ecfb787db21d2bd29f64bfab0427fb73');
CREATE TABLE audit_head (
	id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit_head" VALUES(1,5,'64811932a4662924a1a81d2fa2c5b532ecfb787db21d2bd29f64bfab0427fb73');
CREATE TABLE effects (
	"key" VARCHAR(64) NOT NULL, 
	tenant TEXT NOT NULL, 
	run_key TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	logical_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	body_hash TEXT NOT NULL, 
	safety TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	result TEXT, 
	evidence TEXT, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "effects" VALUES('681224993d4ca1663712cc2bc531501fc9acc97aa7ecf2a144782411ea4fb606','acme','r1','cxone.dataactions.execute','r1/notify','notify','abababababababababababababababababababababababababababababababab','natural','sent',2,2,NULL,NULL,'2024-05-01T00:01:00.000000+00:00','2024-05-01T00:04:00.000000+00:00');
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	tenant TEXT NOT NULL, 
	run_key TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	body TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at FLOAT NOT NULL, 
	last_error TEXT, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "outbox" VALUES(1,'msg_3ecb7bf75cd747f7b4bb8f7fc33358e3','acme','r1','ops','action.failed','{"action_id":"notify"}','pending',0,1714521720.0,NULL,'2024-05-01T00:02:00.000000+00:00','2024-05-01T00:02:00.000000+00:00');
CREATE TABLE runs (
	tenant TEXT NOT NULL, 
	run_key TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	lease_until FLOAT NOT NULL, 
	state TEXT NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (tenant, run_key)
);
INSERT INTO "runs" VALUES('acme','r1','chain',2,'worker-7.example.net:4711:1000',1714521810.0,'held','2024-05-01T00:00:00.000000+00:00','2024-05-01T00:03:00.000000+00:00');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE INDEX effects_by_id ON effects (tenant, logical_id);
CREATE INDEX effects_by_run ON effects (tenant, run_key);
CREATE INDEX outbox_due ON outbox (endpoint, state, next_at);
COMMIT;
