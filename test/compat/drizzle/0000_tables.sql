CREATE TABLE "countries" (
	"code" varchar(2) PRIMARY KEY NOT NULL,
	"name" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"email" text,
	"country" varchar(2),
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "posts" (
	"user_id" bigint NOT NULL,
	"number" integer NOT NULL,
	"title" text NOT NULL,
	"meta" jsonb,
	CONSTRAINT "posts_user_id_number_pk" PRIMARY KEY("user_id","number")
);
--> statement-breakpoint
CREATE TABLE "comments" (
	"user_id" bigint NOT NULL,
	"post" integer NOT NULL,
	"number" integer NOT NULL,
	"text" text,
	CONSTRAINT "comments_user_id_post_number_pk" PRIMARY KEY("user_id","post","number")
);
--> statement-breakpoint
ALTER TABLE "users" ADD CONSTRAINT "users_country_countries_code_fk" FOREIGN KEY ("country") REFERENCES "public"."countries"("code") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "posts" ADD CONSTRAINT "posts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "comments" ADD CONSTRAINT "comments_user_id_post_posts_user_id_number_fk" FOREIGN KEY ("user_id","post") REFERENCES "public"."posts"("user_id","number") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "posts_title" ON "posts" USING btree ("title");
