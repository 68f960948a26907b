From Coq Require Import Reals ZArith Lra List Lia.
From Flocq Require Import Core Relative.
From nsn Require Import floating_point.
Local Open Scope R_scope.

(******************************************************************************)
(* A gauge of powers of the base changes no bit of the output (GAU-6), where  *)
(* nothing underflows or overflows: A's row i times beta^k, B's column i      *)
(* divided by it (np.ldexp(A[i], k), np.ldexp(B[:, i], -k)). Any other gauge  *)
(* (A[i] * d, B[:, i] / d) costs two roundings in each term (GAU-7).          *)
(*                                                                            *)
(*      scale k e == the tree e with its stored numbers times beta^k: h_i for *)
(*                   the scaled row a_i (a product holds the input x_j and a  *)
(*                   tree for the entry of a_i)                               *)
(*    gauged e e' == e' is e with the terms b_i h_i replaced by               *)
(*                   (b_i beta^-k) (h_i beta^k), each with a k of its own     *)
(*  scaled d e e' == e' is the tree e with its stored numbers times d, rounded *)
(*  regauged e e' == e' is e with the terms b_i h_i replaced by those of       *)
(*                   rnd (b_i / d) and of h_i scaled by d, each with its d    *)
(******************************************************************************)

Section Gauge.

Variable beta : radix.
Variable prec : Z.
Context (rnd : R -> Z) {valid : Valid_rnd rnd}.
Notation round_FLX := (round beta (FLX_exp prec) rnd).

Fixpoint scale (k : Z) (e : expr) : expr := match e with
  | Inp x => Inp (x * bpow beta k) | Mul c a => Mul c (scale k a)
  | Add a b => Add (scale k a) (scale k b) | Fma c a b => Fma c (scale k a) (scale k b) end.

Inductive gauged : expr -> expr -> Prop :=
  | G_same e : gauged e e
  | G_mul c a k : gauged (Mul c a) (Mul (c * bpow beta (- k)) (scale k a))
  | G_add a b a' b' : gauged a a' -> gauged b b' -> gauged (Add a b) (Add a' b')
  | G_fma c a b b' k : gauged b b' -> gauged (Fma c a b) (Fma (c * bpow beta (- k)) (scale k a) b').

Lemma round_scale x k : round_FLX (x * bpow beta k) = round_FLX x * bpow beta k.
Proof.
destruct (Req_dec x 0) as [->|N]; [rewrite Rmult_0_l, !round_0 by assumption; ring|].
unfold round, scaled_mantissa, cexp, FLX_exp; rewrite mag_mult_bpow by assumption; unfold F2R; simpl.
replace (x * bpow beta k * bpow beta (- (mag beta x + k - prec))) with (x * bpow beta (- (mag beta x - prec))).
- rewrite Rmult_assoc, <- bpow_plus; do 2 f_equal; ring.
- rewrite Rmult_assoc, <- bpow_plus; do 2 f_equal; ring.
Qed.

Lemma fl_scale k e : fl round_FLX (scale k e) = fl round_FLX e * bpow beta k.
Proof.
induction e as [x|c a IH|a IHa b IHb|c a IHa b IHb]; simpl;
  rewrite ?IH, ?IHa, ?IHb; rewrite <- ?round_scale; f_equal; ring.
Qed.

Lemma product_gauge c v k : c * bpow beta (- k) * (v * bpow beta k) = c * v.
Proof.
replace (c * bpow beta (- k) * (v * bpow beta k)) with (c * v * (bpow beta (- k) * bpow beta k)) by ring.
rewrite <- bpow_plus; replace (- k + k)%Z with 0%Z by ring; simpl; ring.
Qed.

(* GAU-6. The computed output is the same number. *)
Theorem gauge_power_of_two e e' : gauged e e' -> fl round_FLX e' = fl round_FLX e.
Proof.
induction 1 as [e|c a k|a b a' b' _ IHa _ IHb|c a b b' k _ IHb]; simpl;
  rewrite ?fl_scale, ?product_gauge, ?IHa, ?IHb; reflexivity.
Qed.

End Gauge.

Section AnyGauge.

Variable beta : radix.
Variable prec : Z.
Hypothesis prec_gt0 : (0 < prec)%Z.
Variable choice : Z -> bool.
Let rnd := round beta (FLX_exp prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).

Inductive scaled (d : R) : expr -> expr -> Prop :=
  | S_inp x : scaled d (Inp x) (Inp (rnd (x * d)))
  | S_mul c a a' : scaled d a a' -> scaled d (Mul c a) (Mul c a')
  | S_add a b a' b' : scaled d a a' -> scaled d b b' -> scaled d (Add a b) (Add a' b')
  | S_fma c a b a' b' : scaled d a a' -> scaled d b b' -> scaled d (Fma c a b) (Fma c a' b').

Inductive regauged : expr -> expr -> Prop :=
  | R_same e : regauged e e
  | R_mul c a a' d : d <> 0 -> scaled d a a' -> regauged (Mul c a) (Mul (rnd (c / d)) a')
  | R_add a b a' b' : regauged a a' -> regauged b b' -> regauged (Add a b) (Add a' b')
  | R_fma c a b a' b' d : d <> 0 -> scaled d a a' -> regauged b b' ->
      regauged (Fma c a b) (Fma (rnd (c / d)) a' b').

Lemma rnd_near x : Rabs (rnd x - x) <= u * Rabs x.
Proof. now apply relative_error_N_FLX. Qed.

(* How far e' is from k times e, and how much larger. *)
Definition near (k v : R) (e e' : expr) : Prop :=
  Rabs (ex e' - k * ex e) <= v * (Rabs k * ab e) /\ ab e' <= (1 + v) * (Rabs k * ab e) /\ dep e' = dep e.

Lemma near_add k v a b a' b' : near k v a a' -> near k v b b' -> near k v (Add a b) (Add a' b').
Proof.
intros [A1 [A2 A3]] [B1 [B2 B3]]; unfold near; simpl; rewrite A3, B3; split; [|split; [lra|reflexivity]].
replace (ex a' + ex b' - k * (ex a + ex b)) with ((ex a' - k * ex a) + (ex b' - k * ex b)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

(* A product whose factor has an error w, relative to c / k. *)
Lemma near_mul k v w c c' a a' : k <> 0 -> 0 <= v -> near k v a a' -> Rabs (c' - c / k) <= w * Rabs (c / k) ->
  near 1 (v + w + v * w) (Mul c a) (Mul c' a').
Proof.
intros K V [A1 [A2 A3]] C; unfold near; simpl; rewrite A3, Rabs_R1, !Rmult_1_l.
assert (K0 := Rabs_pos_lt k K); assert (P := ab_ge0 a).
assert (C' : Rabs c' <= (1 + w) * Rabs (c / k)).
{ replace c' with (c / k + (c' - c / k)) by ring; apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. }
assert (E : Rabs (c / k) * Rabs k = Rabs c).
{ rewrite <- Rabs_mult; f_equal; field; exact K. }
assert (Q : Rabs (c / k) * (Rabs k * ab a) = Rabs c * ab a) by (rewrite <- E; ring).
assert (T := Rmult_le_compat_l _ _ _ (Rabs_pos c') A1); assert (T2 := Rmult_le_compat_l _ _ _ (Rabs_pos c') A2).
assert (M : 0 <= Rabs k * ab a) by (apply Rmult_le_pos; lra).
assert (N := Rmult_le_compat_r _ _ _ M C').
split; [|split; [|reflexivity]].
- replace (c' * ex a' - c * ex a) with (c' * (ex a' - k * ex a) + (c' - c / k) * (k * ex a)) by (field; exact K).
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite (Rabs_mult c'), (Rabs_mult (c' - c / k)), (Rabs_mult k).
  assert (X : Rabs k * Rabs (ex a) <= Rabs k * ab a) by (apply Rmult_le_compat_l; [lra|apply ex_le_ab]).
  assert (Y := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rmult_le_pos _ _ (Rabs_pos k) (Rabs_pos (ex a))) C X).
  assert (Z := Rmult_le_compat_l _ _ _ V N).
  nra.
- assert (Z := Rmult_le_compat_l _ _ _ (Rplus_le_le_0_compat _ _ Rle_0_1 V) N); nra.
Qed.

Lemma near_mul_exact k v c a a' : near k v a a' -> near k v (Mul c a) (Mul c a').
Proof.
intros [A1 [A2 A3]]; unfold near; simpl; rewrite A3.
assert (T := Rmult_le_compat_l _ _ _ (Rabs_pos c) A1); assert (T2 := Rmult_le_compat_l _ _ _ (Rabs_pos c) A2).
split; [|split; [lra|reflexivity]].
replace (c * ex a' - k * (c * ex a)) with (c * (ex a' - k * ex a)) by ring; rewrite Rabs_mult; lra.
Qed.

Lemma near_fma k v c a b c' a' b' : near k v (Mul c a) (Mul c' a') -> near k v b b' ->
  near k v (Fma c a b) (Fma c' a' b').
Proof.
intros A B; destruct (near_add _ _ _ _ _ _ A B) as [N1 [N2 _]]; destruct A as [_ [_ A]], B as [_ [_ B]].
unfold near; simpl in *; rewrite (eq_add_S _ _ A), B; auto.
Qed.

Lemma scaled_near d e e' : scaled d e e' -> near d u e e'.
Proof.
induction 1 as [x|c a a' _ IH|a b a' b' _ IHa _ IHb|c a b a' b' _ IHa _ IHb].
- assert (E := rnd_near (x * d)); rewrite Rabs_mult in E; unfold near; simpl; split; [|split; [|reflexivity]].
  + replace (d * x) with (x * d) by ring; lra.
  + replace (rnd (x * d)) with (x * d + (rnd (x * d) - x * d)) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult; lra.
- now apply near_mul_exact.
- now apply near_add.
- apply near_fma; [now apply near_mul_exact|assumption].
Qed.

Lemma regauged_near e e' : regauged e e' -> near 1 (u + u + u * u) e e'.
Proof.
assert (U : 0 <= u) by (unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra).
assert (M : forall c a a' d, d <> 0 -> scaled d a a' -> near 1 (u + u + u * u) (Mul c a) (Mul (rnd (c / d)) a')).
{ intros c a a' d D S; apply (near_mul d); [exact D|exact U|now apply scaled_near|apply rnd_near]. }
induction 1 as [e|c a a' d D S|a b a' b' _ IHa _ IHb|c a b a' b' d D S _ IHb].
- assert (P := ab_ge0 e); assert (V : 0 <= (u + u + u * u) * ab e) by (apply Rmult_le_pos; nra).
  unfold near; rewrite Rabs_R1, !Rmult_1_l, Rminus_eq_0, Rabs_R0; split; [lra|split; [lra|reflexivity]].
- now apply M.
- now apply near_add.
- apply near_fma; [now apply M|assumption].
Qed.

(* GAU-7. In any gauge the error is that of a tree two levels deeper: two roundings more in each
   term. The tree of a layer has at most d_in + r levels, and one more for the bias. *)
Theorem any_gauge e e' n : regauged e e' -> (dep e <= n)%nat -> INR (n + 2) * u < 1 ->
  Rabs (fl rnd e' - ex e) <= gamma u (n + 2) * ab e.
Proof.
intros G D Hn; destruct (regauged_near _ _ G) as [E [A N]]; rewrite Rabs_R1, !Rmult_1_l in *.
assert (U : 0 <= u) by (unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra).
assert (F := forward_error_FLX beta prec prec_gt0 choice e'); fold rnd u in F; rewrite N in F.
assert (P : (1 + u) ^ dep e <= (1 + u) ^ n) by (apply Rle_pow; [lra|exact D]).
assert (P1 : 1 <= (1 + u) ^ n) by (apply pow_R1_Rle; lra).
assert (P2 : (1 + u) ^ (n + 2) = (1 + u) ^ n * (1 + (u + u + u * u))) by (rewrite pow_add; ring).
assert (Q := pow_le_gamma u (n + 2) U Hn); rewrite P2 in Q; assert (B := ab_ge0 e); assert (B' := ab_ge0 e').
apply (Rle_trans _ (((1 + u) ^ n * (1 + (u + u + u * u)) - 1) * ab e)); [|now apply Rmult_le_compat_r].
replace (fl rnd e' - ex e) with ((fl rnd e' - ex e') + (ex e' - ex e)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
assert (X : ((1 + u) ^ dep e - 1) * ab e' <= ((1 + u) ^ n - 1) * ab e') by (apply Rmult_le_compat_r; lra).
assert (Y := Rmult_le_compat_l ((1 + u) ^ n - 1) _ _ ltac:(lra) A).
lra.
Qed.

End AnyGauge.
