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
INSERT INTO "audit" VALUES(3,'2024-05-01T00:02:00.000000+00:00','acme','r1','effect.concluded','notify','{"attempts":1,"body_hash":"abababababababababababababababababababababababababababababababab","epoch":1,"evidence":{"by":"vendor"},"from":"sent","logical_id":"r1/notify","operation":"cxone.dataactions.execute","result_sha256":null,"to":"unknown"}','92033e0f495f974f83ccc4b00f12e1e0020b04989527180d5c235c7eac17fba6','35a98410af81d401cca2ca646e48197ddad875d59a084ab20b88489cf5fcecbd');
CREATE TABLE audit_head (
	id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit_head" VALUES(1,3,'35a98410af81d401cca2ca646e48197ddad875d59a084ab20b88489cf5fcecbd');
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
INSERT INTO "effects" VALUES('681224993d4ca1663712cc2bc531501fc9acc97aa7ecf2a144782411ea4fb606','acme','r1','cxone.dataactions.execute','r1/notify','notify','abababababababababababababababababababababababababababababababab','keyed','unknown',1,1,NULL,'{"by":"vendor"}','2024-05-01T00:01:00.000000+00:00','2024-05-01T00:02:00.000000+00:00');
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
INSERT INTO "outbox" VALUES(1,'msg_8cced14ab9fb4a6290d6b4370c28c17c','acme','r1','ops','action.unknown','{"action_id":"notify"}','pending',0,1714521720.0,NULL,'2024-05-01T00:02:00.000000+00:00','2024-05-01T00:02:00.000000+00:00');
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
INSERT INTO "runs" VALUES('acme','r1','chain',1,'worker-7.example.net:4711:1000',1714521630.0,'held','2024-05-01T00:00:00.000000+00:00','2024-05-01T00:00:00.000000+00:00');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE INDEX effects_by_id ON effects (tenant, logical_id);
CREATE INDEX effects_by_run ON effects (tenant, run_key);
CREATE INDEX outbox_due ON outbox (endpoint, state, next_at);
COMMIT;
