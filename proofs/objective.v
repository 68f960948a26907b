From Coq Require Import Reals Lra Psatz List.
From Coquelicot Require Import Coquelicot.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* The objective over several ranks (OBJ): each rank's loss L weighted by a   *)
(* learned log-variance s.                                                    *)
(*                                                                            *)
(*         unc L s == exp(-s) L + s           variant "uncertainty" (Eq. 3)   *)
(*    uncg a b L s == a exp(-s) L + b s       for any pair of coefficients    *)
(*     kendall L s == exp(-s) L + s / 2       variant "classification"        *)
(*     liebel L s == exp(-s) L / 2 + ln(1 + exp s)      variant "bounded"     *)
(*    liebel_min L == the exponential of liebel's minimiser                   *)
(*        weight s == exp(-s)                 w in objective_forward          *)
(*     total Ls ss == the sum over the ranks  objective_forward               *)
(*      profile Ls == the total minimised over every s                        *)
(******************************************************************************)

Definition unc (L s : R) : R := exp (- s) * L + s.
Definition weight (s : R) : R := exp (- s).

Definition uncg (a b L s : R) : R := a * exp (- s) * L + b * s.

Definition kendall (L s : R) : R := exp (- s) * L + s / 2.
Definition liebel (L s : R) : R := exp (- s) * L / 2 + ln (1 + exp s).
Definition liebel_min (L : R) : R := (L + sqrt (L * L + 8 * L)) / 4.

Lemma exp_gt_tangent x : x <> 0 -> 1 + x < exp x.
Proof. exact (exp_ineq1 x). Qed.

Lemma exp_ge_tangent x : 1 + x <= exp x.
Proof. exact (exp_ineq1_le x). Qed.

Lemma unc_shift L s : 0 < L -> unc L s = exp (ln L - s) + s.
Proof.
intros HL; unfold unc.
replace (ln L - s) with (- s + ln L) by ring.
now rewrite exp_plus, (exp_ln _ HL).
Qed.

(* OBJ-1. At s = ln L the term is 1 + ln L ... *)
Theorem unc_min_value L : 0 < L -> unc L (ln L) = 1 + ln L.
Proof. intros HL; rewrite (unc_shift _ _ HL), Rminus_eq_0, exp_0; ring. Qed.

(* OBJ-1. ... which no other s undercuts ... *)
Theorem unc_lower_bound L s : 0 < L -> 1 + ln L <= unc L s.
Proof.
intros HL; rewrite (unc_shift _ _ HL).
generalize (exp_ge_tangent (ln L - s)); lra.
Qed.

Lemma unc_unique_min L s : 0 < L -> unc L s <= unc L (ln L) -> s = ln L.
Proof.
intros HL; rewrite (unc_min_value _ HL), (unc_shift _ _ HL); intros H.
destruct (Req_dec (ln L - s) 0) as [E|E]; [lra|].
generalize (exp_gt_tangent _ E); lra.
Qed.

(* OBJ-1. ... so that s = ln L is the only minimiser. *)
Theorem unc_min_iff L s : 0 < L ->
  (forall t, unc L s <= unc L t) <-> s = ln L.
Proof.
intros HL; split.
- intros H; exact (unc_unique_min _ _ HL (H (ln L))).
- intros -> t; rewrite (unc_min_value _ HL); exact (unc_lower_bound _ _ HL).
Qed.

(* OBJ-6. With a weight a exp(-s) and a penalty b s the only minimiser is ln(a L / b). *)
Theorem uncg_min_iff a b L s : 0 < a -> 0 < b -> 0 < L ->
  (forall t, uncg a b L s <= uncg a b L t) <-> s = ln (a * L / b).
Proof.
intros Ha Hb HL.
assert (HL' : 0 < a * L / b) by (apply Rdiv_lt_0_compat; [nra|lra]).
assert (E : forall t, uncg a b L t = b * unc (a * L / b) t).
{ intros t; unfold uncg, unc; field; lra. }
rewrite <- (unc_min_iff _ s HL'); split; intros H t; generalize (H t); rewrite !E; nra.
Qed.

(* OBJ-6. The classification variant: its minimiser ln(2 L) ... *)
Theorem kendall_min_iff L s : 0 < L ->
  (forall t, kendall L s <= kendall L t) <-> s = ln (2 * L).
Proof.
intros HL; assert (E : forall t, kendall L t = uncg 1 (1 / 2) L t) by (intros t; unfold kendall, uncg; lra).
replace (2 * L) with (1 * L / (1 / 2)) by field.
rewrite <- (uncg_min_iff 1 (1 / 2) L s ltac:(lra) ltac:(lra) HL); split; intros H t; generalize (H t); rewrite !E; auto.
Qed.

(* OBJ-6. ... its value there, which is unbounded below as L goes to 0 ... *)
Theorem kendall_min_value L : 0 < L -> kendall L (ln (2 * L)) = 1 / 2 + ln (2 * L) / 2.
Proof. intros HL; unfold kendall; rewrite exp_Ropp, exp_ln by lra; field; lra. Qed.

(* OBJ-6. ... and its weight there. *)
Theorem kendall_weight L : 0 < L -> weight (ln (2 * L)) = / (2 * L).
Proof. intros HL; unfold weight; rewrite exp_Ropp, exp_ln by lra; reflexivity. Qed.

(* OBJ-5. Minimised over s the term has no lower bound as L goes to 0. *)
Theorem unc_unbounded_below M : exists d, 0 < d /\ forall L, 0 < L < d -> unc L (ln L) < M.
Proof.
exists (exp (M - 1)); split; [apply exp_pos|]; intros L [L0 Ld].
rewrite (unc_min_value _ L0); assert (H := ln_increasing _ _ L0 Ld); rewrite ln_exp in H; lra.
Qed.

(* OBJ-6. Nor has the classification variant. *)
Theorem kendall_unbounded_below M : exists d, 0 < d /\ forall L, 0 < L < d -> kendall L (ln (2 * L)) < M.
Proof.
exists (exp (2 * M - 1) / 2); assert (P := exp_pos (2 * M - 1)); split; [lra|]; intros L [L0 Ld].
rewrite (kendall_min_value _ L0).
assert (H := ln_increasing (2 * L) (exp (2 * M - 1)) ltac:(lra) ltac:(lra)); rewrite ln_exp in H; lra.
Qed.

(* OBJ-7. The bounded variant is never negative. *)
Theorem liebel_ge0 L s : 0 <= L -> 0 < liebel L s.
Proof.
intros HL; unfold liebel; assert (P := exp_pos (- s)); assert (Q := exp_pos s).
assert (H := ln_increasing 1 (1 + exp s) ltac:(lra) ltac:(lra)); rewrite ln_1 in H; nra.
Qed.

Lemma liebel_min_root L : 0 < L -> 0 < liebel_min L /\ 2 * (liebel_min L * liebel_min L) = L * (1 + liebel_min L).
Proof.
intros HL; unfold liebel_min; set (q := sqrt (L * L + 8 * L)).
assert (Q : q * q = L * L + 8 * L) by (apply sqrt_sqrt; nra).
assert (Q0 : 0 < q) by (apply sqrt_lt_R0; nra); split; [lra|nra].
Qed.

Lemma liebel_gap L s : 0 < L -> let t := exp s in let m := liebel_min L in
  (t - m) * (t - m) / (t * (1 + t) * (1 + m)) <= liebel L s - liebel L (ln m).
Proof.
intros HL t m; destruct (liebel_min_root L HL) as [M0 Mr]; fold m in M0, Mr.
assert (T0 : 0 < t) by apply exp_pos.
unfold liebel; rewrite !exp_Ropp, exp_ln by assumption; fold t.
assert (EL : L = 2 * (m * m) / (1 + m)) by (apply (Rmult_eq_reg_r (1 + m)); [|lra]; rewrite <- Mr; field; lra).
assert (D : ln (1 + m) - ln (1 + t) <= (1 + m) / (1 + t) - 1).
{ rewrite <- ln_div by lra; assert (X : 0 < (1 + m) / (1 + t)) by (apply Rdiv_lt_0_compat; lra).
  assert (H := exp_ge_tangent (ln ((1 + m) / (1 + t)))); rewrite exp_ln in H by assumption; lra. }
apply (Rle_trans _ (/ t * L / 2 - / m * L / 2 + (1 - (1 + m) / (1 + t)))); [|lra].
rewrite EL; apply Req_le; field; lra.
Qed.

(* OBJ-7. Its only minimiser is ln((L + sqrt(L^2 + 8 L)) / 4). *)
Theorem liebel_min_iff L s : 0 < L -> (forall t, liebel L s <= liebel L t) <-> s = ln (liebel_min L).
Proof.
intros HL; destruct (liebel_min_root L HL) as [M0 _]; split.
- intros H; assert (G := liebel_gap L s HL); simpl in G; assert (B := H (ln (liebel_min L))).
  set (m := liebel_min L) in *; assert (T0 := exp_pos s); set (t := exp s) in *.
  assert (P : 0 < t * (1 + t) * (1 + m)) by (repeat apply Rmult_lt_0_compat; lra).
  assert (Z : (t - m) * (t - m) <= 0).
  { apply (Rmult_le_reg_r (/ (t * (1 + t) * (1 + m)))); [now apply Rinv_0_lt_compat|].
    unfold Rdiv in G; lra. }
  assert (E : t = m) by nra; rewrite <- E; unfold t; now rewrite ln_exp.
- intros -> t; assert (G := liebel_gap L t HL); simpl in G; assert (T0 := exp_pos t).
  assert (P : 0 <= (exp t - liebel_min L) * (exp t - liebel_min L) / (exp t * (1 + exp t) * (1 + liebel_min L))).
  { apply Rmult_le_pos; [exact (Rle_0_sqr _)|left; apply Rinv_0_lt_compat; repeat apply Rmult_lt_0_compat; lra]. }
  lra.
Qed.

(* OBJ-7. Its weight falls as the loss grows, too. *)
Theorem liebel_weight_decreasing L1 L2 : 0 < L1 -> L1 < L2 ->
  weight (ln (liebel_min L2)) / 2 < weight (ln (liebel_min L1)) / 2.
Proof.
intros H1 H2; destruct (liebel_min_root L1 H1) as [M1 _]; destruct (liebel_min_root L2 ltac:(lra)) as [M2 _].
assert (S : sqrt (L1 * L1 + 8 * L1) < sqrt (L2 * L2 + 8 * L2)) by (apply sqrt_lt_1; nra).
unfold weight; rewrite !exp_Ropp, !exp_ln by assumption.
assert (I : / liebel_min L2 < / liebel_min L1); [|lra].
apply Rinv_lt_contravar; [nra|unfold liebel_min; lra].
Qed.

(* OBJ-5. At L = 0 the term is unbounded below in s. *)
Theorem unc_zero_loss M : exists s, unc 0 s < M.
Proof. exists (M - 1); unfold unc; lra. Qed.

(* OBJ-2. The weight at the minimum is 1/L ... *)
Theorem weight_at_min L : 0 < L -> weight (ln L) = / L.
Proof. intros HL; unfold weight; now rewrite exp_Ropp, exp_ln. Qed.

(* OBJ-2. ... so a larger loss has a smaller weight ... *)
Theorem weight_decreasing L1 L2 : 0 < L1 -> L1 < L2 ->
  weight (ln L2) < weight (ln L1).
Proof.
intros H1 H2; rewrite !weight_at_min by lra.
apply Rinv_lt_contravar; [nra|lra].
Qed.

(* OBJ-2. ... every weighted loss is 1 ... *)
Theorem weighted_loss_one L : 0 < L -> weight (ln L) * L = 1.
Proof. intros HL; rewrite (weight_at_min _ HL); field; lra. Qed.

(* OBJ-2. ... and "harder ranks weigh more" is false. *)
Theorem harder_weighs_more_false :
  ~ (forall L1 L2, 0 < L1 -> L1 < L2 -> weight (ln L1) <= weight (ln L2)).
Proof.
intros H; assert (H12 := H 1 2 ltac:(lra) ltac:(lra)).
assert (H21 := weight_decreasing 1 2 ltac:(lra) ltac:(lra)); lra.
Qed.

Fixpoint total (Ls ss : list R) : R :=
  match Ls, ss with
  | L :: Ls', s :: ss' => unc L s + total Ls' ss'
  | _, _ => 0
  end.

Fixpoint profile (Ls : list R) : R :=
  match Ls with [] => 0 | L :: Ls' => 1 + ln L + profile Ls' end.

(* OBJ-1. Several ranks: the sum of 1 + ln L_k bounds the total from below ... *)
Theorem total_lower_bound Ls : List.Forall (fun L => 0 < L) Ls ->
  forall ss, length ss = length Ls -> profile Ls <= total Ls ss.
Proof.
induction 1 as [|L Ls HL _ IH]; intros [|s ss] E; try discriminate; simpl; [lra|].
generalize (unc_lower_bound L s HL) (IH ss (f_equal Nat.pred E)); lra.
Qed.

(* OBJ-1. ... and is reached exactly at s_k = ln L_k. *)
Theorem total_min_iff Ls : List.Forall (fun L => 0 < L) Ls ->
  forall ss, length ss = length Ls ->
  (total Ls ss = profile Ls <-> ss = map ln Ls).
Proof.
induction 1 as [|L Ls HL HLs IH]; intros [|s ss] E; try discriminate; simpl.
- tauto.
- assert (E' : length ss = length Ls) by (injection E; auto).
  generalize (unc_lower_bound L s HL) (total_lower_bound Ls HLs ss E'); intros B1 B2.
  split.
  + intros H.
    assert (s = ln L) as ->.
    { apply (unc_unique_min _ _ HL); rewrite (unc_min_value _ HL); lra. }
    f_equal; apply (IH ss E'); rewrite (unc_min_value _ HL) in *; lra.
  + injection 1; intros -> ->; rewrite (unc_min_value _ HL).
    now rewrite (proj2 (IH (map ln Ls) (map_length _ _)) Logic.eq_refl).
Qed.

(* OBJ-4. Minimised over every s the total is ln of the product of the losses, plus K. *)
Theorem profile_product Ls : List.Forall (fun L => 0 < L) Ls ->
  0 < fold_right Rmult 1 Ls /\ profile Ls = INR (length Ls) + ln (fold_right Rmult 1 Ls).
Proof.
induction 1 as [|L Ls HL _ [P IH]]; [simpl; rewrite ln_1; lra|].
split; [simpl; now apply Rmult_lt_0_compat|].
change (length (L :: Ls)) with (S (length Ls)); rewrite S_INR; simpl profile; simpl fold_right.
rewrite ln_mult, IH by assumption; lra.
Qed.

Lemma exp_strict_convex x y t : x <> y -> 0 < t < 1 ->
  exp (t * x + (1 - t) * y) < t * exp x + (1 - t) * exp y.
Proof.
intros Hxy Ht; set (z := t * x + (1 - t) * y).
assert (T : forall w, w <> z -> exp z * (1 + (w - z)) < exp w).
{ intros w Hw; replace (exp w) with (exp z * exp (w - z)).
  - apply Rmult_lt_compat_l; [apply exp_pos|apply exp_gt_tangent; lra].
  - rewrite <- exp_plus; f_equal; ring. }
assert (Hx : x <> z) by (unfold z; nra).
assert (Hy : y <> z) by (unfold z; nra).
generalize (T x Hx) (T y Hy); intros H1 H2.
assert (E : t * (exp z * (1 + (x - z))) + (1 - t) * (exp z * (1 + (y - z))) = exp z).
{ unfold z at 2 4; ring. }
nra.
Qed.

(* OBJ-3. Strictly convex in s at fixed L > 0 ... *)
Theorem unc_convex_in_s L x y t : 0 < L -> x <> y -> 0 < t < 1 ->
  unc L (t * x + (1 - t) * y) < t * unc L x + (1 - t) * unc L y.
Proof.
intros HL Hxy Ht; unfold unc.
replace (- (t * x + (1 - t) * y)) with (t * - x + (1 - t) * - y) by ring.
generalize (exp_strict_convex (- x) (- y) t ltac:(lra) Ht); nra.
Qed.

(* OBJ-3. ... but not in (s, L): the midpoint inequality fails between (0, 1) and (2, 8). *)
Theorem unc_not_jointly_convex :
  ~ (forall s1 L1 s2 L2 t, 0 < L1 -> 0 < L2 -> 0 <= t <= 1 ->
     unc (t * L1 + (1 - t) * L2) (t * s1 + (1 - t) * s2)
       <= t * unc L1 s1 + (1 - t) * unc L2 s2).
Proof.
intros H; generalize (H 0 1 2 8 (1/2) ltac:(lra) ltac:(lra) ltac:(lra)).
unfold unc.
replace (- (1 / 2 * 0 + (1 - 1 / 2) * 2)) with (- (1)) by field.
replace (- (2)) with (- (1) + - (1)) by ring.
rewrite exp_plus, Ropp_0, exp_0.
assert (E3 : exp 1 <= 3) by exact exp_le_3.
assert (E2 : 1 + 1 < exp 1) by (apply exp_gt_tangent; lra).
rewrite exp_Ropp; set (u := / exp 1).
assert (U1 : u * exp 1 = 1) by (unfold u; field; lra).
assert (U0 : 0 < u) by (unfold u; apply Rinv_0_lt_compat; lra).
nra.
Qed.

(* OBJ-1. The derivative in s: what objective_backward returns in ds. *)
Theorem unc_derivative L s : is_derive (unc L) s (1 - exp (- s) * L).
Proof. unfold unc; auto_derive; [exact I | ring]. Qed.

(* OBJ-3. The second derivative in s. *)
Theorem unc_second_derivative L s :
  is_derive (fun s => 1 - exp (- s) * L) s (exp (- s) * L).
Proof. auto_derive; [exact I | ring]. Qed.

(* OBJ-1. The only critical point is ln L. *)
Theorem unc_critical_iff L s : 0 < L ->
  is_derive (unc L) s 0 <-> s = ln L.
Proof.
intros HL; split; intros H.
- assert (E : 1 - exp (- s) * L = 0).
  { rewrite <- (is_derive_unique _ _ _ (unc_derivative L s)).
    exact (is_derive_unique _ _ _ H). }
  rewrite exp_Ropp in E; assert (P := exp_pos s).
  assert (exp s = L) as <-.
  { assert (E2 : / exp s * L = 1) by lra.
    rewrite <- (Rmult_1_r (exp s)), <- E2; field; lra. }
  now rewrite ln_exp.
- subst s; replace 0 with (1 - exp (- ln L) * L); [apply unc_derivative|].
  generalize (weighted_loss_one L HL); unfold weight; lra.
Qed.

(* OBJ-4. Minimised over s, the gradient is that of the loss divided by the loss: the
   gradient of ln L, so that several ranks minimise the product of their losses. *)
Theorem envelope (L : R -> R) (th dL : R) :
  0 < L th -> is_derive L th dL ->
  is_derive (fun t => unc (L t) (ln (L t))) th (weight (ln (L th)) * dL).
Proof.
intros HL HD.
assert (HE : is_derive (fun t => 1 + ln (L t)) th (weight (ln (L th)) * dL)).
{ rewrite (weight_at_min _ HL); auto_derive; [split; [now exists dL | split; auto] |].
  replace (Derive (fun x => L x) th) with dL; [field; lra|].
  symmetry; exact (is_derive_unique _ _ _ HD). }
apply (is_derive_ext_loc (fun t => 1 + ln (L t))); [|exact HE].
assert (C : continuous L th) by (apply (ex_derive_continuous L); now exists dL).
destruct (C (fun y => 0 < y)) as [d Hd].
- exists (mkposreal _ HL); intros y Hy; unfold ball in Hy; simpl in Hy.
  unfold AbsRing_ball, abs, minus, plus, opp in Hy; simpl in Hy.
  apply Rabs_def2 in Hy; lra.
- exists d; intros y Hy; symmetry; apply unc_min_value; now apply Hd.
Qed.

(* OBJ-3. The Hessian in (s, L) has a negative determinant. *)
Theorem unc_hessian_indefinite s L :
  is_derive (fun s => 1 - exp (- s) * L) s (exp (- s) * L) /\   (* f_ss *)
  is_derive (fun L => unc L s) L (exp (- s)) /\                 (* f_L *)
  is_derive (fun s => exp (- s)) s (- exp (- s)) /\             (* f_Ls *)
  is_derive (fun _ : R => exp (- s)) L 0 /\                     (* f_LL *)
  (exp (- s) * L) * 0 - (- exp (- s)) * (- exp (- s)) < 0.
Proof.
split; [apply unc_second_derivative|].
split; [unfold unc; auto_derive; [exact I | ring]|].
split; [auto_derive; [exact I | ring]|].
split; [exact (is_derive_const (exp (- s)) L)|].
generalize (exp_pos (- s)); nra.
Qed.

(* OBJ-6. The derivative in s of the classification variant. *)
Theorem kendall_derivative L s : is_derive (kendall L) s (1 / 2 - exp (- s) * L).
Proof. unfold kendall; auto_derive; [exact I | lra]. Qed.

(* OBJ-7. The derivative in s of the bounded variant: the logistic function less the weighted loss. *)
Theorem liebel_derivative L s : is_derive (liebel L) s (/ (1 + exp (- s)) - exp (- s) / 2 * L).
Proof.
assert (P := exp_pos s); unfold liebel; auto_derive; [lra|].
rewrite exp_Ropp; field; lra.
Qed.

(* OBJ-8. Analytic weights: with each loss weighted by 1/L_k held constant, the gradient of the
   sum is that of the objective minimised over every s. A pair is a loss and its derivative. *)
Theorem analytic_weights (Ls : list ((R -> R) * R)) (th : R) :
  (forall p, In p Ls -> 0 < fst p th /\ is_derive (fst p) th (snd p)) ->
  is_derive (fun t => fold_right Rplus 0 (map (fun p => unc (fst p t) (ln (fst p t))) Ls)) th
            (fold_right Rplus 0 (map (fun p => / fst p th * snd p) Ls)).
Proof.
induction Ls as [|p Ls IH]; intros H; simpl; [exact (is_derive_const 0 th)|].
destruct (H p (or_introl Logic.eq_refl)) as [P D].
apply (is_derive_plus (fun t => unc (fst p t) (ln (fst p t)))).
- rewrite <- (weight_at_min _ P); now apply envelope.
- apply IH; intros q Hq; apply H; now right.
Qed.
